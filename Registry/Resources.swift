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
