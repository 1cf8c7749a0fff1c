// The images below a folder, whatever its folders stand for.

public import GraftImages
import GraftTensors

/// The images in a folder and the folders in it, in the order of their paths.
///
/// Hidden files are passed over, links to files are followed, and links to folders are not: they may
/// lead back. What is no image, by extension and by content, is counted.
public struct ImageListing: Sendable {
    /// The images, with the folder's path before them.
    public private(set) var paths: [String] = []
    /// What is no image.
    public private(set) var leftOut = LeftOutFiles()
    /// The links that lead nowhere or to folders.
    public private(set) var links = 0

    /// Lists a folder.
    ///
    /// - Throws: `FileError` if a folder cannot be read.
    public init(_ folder: String) throws {
        let root = folder.hasSuffix("/") && folder != "/" ? String(folder.dropLast()) : folder
        try add(root, depth: 0)
    }

    private mutating func add(_ folder: String, depth: Int) throws {
        guard depth < 64 else { return }
        for name in try FolderListing.names(in: folder) {
            let path = folder == "/" ? "/" + name : folder + "/" + name
            switch FolderListing.kind(path) {
            case .folder: try add(path, depth: depth + 1)
            case .file: if leftOut.admits(path: path) { paths.append(path) }
            case .link:
                if PhotoFolder.isFile(path) {
                    if leftOut.admits(path: path) { paths.append(path) }
                } else {
                    links += 1
                }
            default: break
            }
        }
    }
}
