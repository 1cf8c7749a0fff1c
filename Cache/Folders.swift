// Folders opened step by step without following links, so that no link leads a write elsewhere.

package import GraftSystem
import GraftTensors

/// Paths below a folder that others could have filled.
package enum Folders {
    /// Opens the folder that the last part of `path` is in, creating what is missing.
    ///
    /// The folder `root` itself may be behind links; nothing below it may.
    package static func open(
        _ root: String, parentOf path: String
    ) throws(FileError) -> OpenFolder {
        try Files.makeFolder(root)
        var folder = try OpenFolder(root, followsLinks: true)
        for part in path.pathParts.dropLast() {
            // What cannot be created cannot be opened either, and that error is the one to show.
            _ = try? folder.createFolder(part)
            do {
                folder = try folder.folder(part)
            } catch {
                // The system says of a link that it is not a folder.
                let isLink = folder.find(part)?.kind == .link
                throw FileError(
                    .open, at: "\(root)/\(path)", isLink ? .symbolicLink : error.errno)
            }
        }
        return folder
    }
}

extension Files {
    /// Copies a file, by reference where the file system can; it appears complete or not at all.
    public static func copy(_ source: String, to destination: String) throws {
        let input = try FileDescriptor(opening: source)
        var output = try AtomicFile(replacing: destination)
        if !output.shareBlocks(of: input) {
            try input.forEachPiece { try output.write($0) }
        }
        try output.commit(durably: false)
    }
}
