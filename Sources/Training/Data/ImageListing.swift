// The images below a folder or in a tar archive, whatever its folders stand for.

package import GraftFormats
public import GraftImages
import GraftTensors

/// The images in a folder and the folders in it, in the order of their paths.
///
/// Hidden files are passed over, links to files are followed, and links to folders are not: they may
/// lead back. Files that are not images, by extension and by content, are counted.
public struct ImageListing: Sendable {
    /// The images, with the folder's path before them.
    public private(set) var paths: [String] = []
    /// The files that are not images.
    public private(set) var leftOut = LeftOutFiles()
    /// The links that lead nowhere or to folders.
    public private(set) var links = 0

    /// Lists a folder.
    ///
    /// - Throws: `FileError` if a folder cannot be read.
    public init(_ folder: String) throws {
        let listing = try FolderListing(folder, links: .files)
        let start = folder.hasSuffix("/") ? folder : folder + "/"
        links = listing.outward.count
        for file in listing.files where leftOut.admits(path: start + file) {
            paths.append(start + file)
        }
    }
}

/// The images in a tar archive, which is read where it is: nothing is unpacked.
package struct TarImages {
    /// The images in the order of the archive, hidden ones and those of archivers left out.
    package private(set) var members: [TarArchive.Member] = []
    /// The files that are not images.
    package private(set) var leftOut = LeftOutFiles()

    /// Lists an archive, or of its members those whose names are wanted.
    package init(_ path: String, where isWanted: (String) -> Bool = { _ in true }) throws {
        let file = try Storage(mapping: path)
        for member in try TarArchive.members(path) where isWanted(member.name) {
            let isHidden = member.name.split(separator: "/").contains {
                FolderListing.isSystem(String($0)) && $0 != "." && $0 != ".."
            }
            guard !isHidden else { continue }
            let isImage = file.withBytes {
                leftOut.admits(
                    name: member.name,
                    bytes: UnsafeRawBufferPointer(
                        rebasing: $0[member.range.clamped(to: 0..<$0.count)]))
            }
            if isImage { members.append(member) }
        }
    }
}
