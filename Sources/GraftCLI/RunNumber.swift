// The folder of a run that was given none: `runs/1`, `runs/2`, …

import Glibc
import GraftTensors

/// The default run folders.
enum RunNumber {
    private static let base = "runs"

    /// Makes the folder of the next run. It is a new one: none that is there is ever taken.
    ///
    /// - Throws: `FileError` if the folder cannot be made.
    static func claim() throws -> String {
        if mkdir(base, 0o777) != 0, errno != EEXIST { throw FileError("create", base) }
        var number = (try numbers().max() ?? 0) + 1
        while true {
            let path = "\(base)/\(number)"
            if mkdir(path, 0o777) == 0 { return path }
            guard errno == EEXIST else { throw FileError("create", path) }
            number += 1
        }
    }

    /// Removes the folder of a run that left nothing in it.
    static func release(_ path: String) {
        if rmdir(path) == 0 { rmdir(base) }
    }

    private static func numbers() throws -> [Int] {
        guard let folder = opendir(base) else { throw FileError("read", base) }
        defer { closedir(folder) }
        var numbers: [Int] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = Int(name), number > 0, number < 1_000_000_000 { numbers.append(number) }
        }
        return numbers
    }
}
