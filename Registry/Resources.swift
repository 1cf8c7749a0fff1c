// Where the registry's files are. `Bundle.module` ends the process where they are missing; this does not.

import FoundationEssentials
import Glibc

/// The folder of the registry's files.
enum Resources {
    /// What the build calls it.
    static let folderName = "graft_GraftRegistry.resources"

    /// The folder `Models`: where `$GRAFT_REGISTRY` says, beside the program, in `../share/graft`, and
    /// in the folders above the program (for tests, that run from the folder of the build).
    static func models() throws(RegistryError) -> String {
        let program = folderOfProgram()
        // Who names a folder means it, whatever came with the program.
        var places =
            getenv("GRAFT_REGISTRY").map { [String(cString: $0)] }?.filter { !$0.isEmpty } ?? []
        places += [
            program + "/" + folderName, parent(program) + "/share/graft/" + folderName,
            parent(program) + "/share/graft",
        ]
        var folder = program
        while folder.count > 1 {
            folder = parent(folder)
            places.append((folder == "/" ? "" : folder) + "/" + folderName)
        }
        for place in places {
            for folder in [place + "/Models", place] {
                if access(folder + "/labels-imagenet.json", R_OK) == 0 { return folder }
            }
        }
        throw .missing(searched: places)
    }

    /// The files of the families, sorted.
    static func families() throws(RegistryError) -> [String] {
        let folder = try models()
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasSuffix(".json") && !$0.hasPrefix("labels-") }.sorted()
                .map { folder + "/" + $0 }
        } catch {
            throw .unreadable(path: folder, reason: "\(error)")
        }
    }

    /// Whether some value in a file of JSON begins with `name`.
    static func mentions(_ path: String, _ name: String) throws(RegistryError) -> Bool {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
        let wanted = Array("\"\(name)".utf8)
        return data.withUnsafeBytes { bytes -> Bool in
            contains(bytes, wanted)
        }
    }

    /// Whether bytes that begin with a quotation mark are among others.
    private static func contains(_ bytes: UnsafeRawBufferPointer, _ wanted: [UInt8]) -> Bool {
        var rest = bytes
        while rest.count >= wanted.count, let start = rest.baseAddress {
            guard let quote = memchr(start, Int32(UInt8(ascii: "\"")), rest.count) else {
                return false
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[(UnsafeRawPointer(quote) - start)...])
            if rest.starts(with: wanted) { return true }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        }
        return false
    }

    /// The value in a file of JSON.
    static func decode<Value: Decodable>(_ type: Value.Type, from path: String)
        throws(RegistryError) -> Value
    {
        do {
            let data = try Data(contentsOf: URL(filePath: path))
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw .unreadable(path: path, reason: "\(error)")
        }
    }

    private static func folderOfProgram() -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let bytes = buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }
        return parent(String(decoding: bytes, as: UTF8.self))
    }

    private static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }
}
