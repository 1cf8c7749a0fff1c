// Temporary folders last as long as their owner: those that nobody holds are removed, others are left alone.

import Foundation
import GraftSystem
import Testing

@Suite struct TemporaryFoldersTests {
    private func isThere(_ path: String) -> Bool { FileSystem.isFolder(path) }

    /// A folder with a file, which gets the name of a temporary one once `body` has been at it: other
    /// tests remove what is left over.
    private func folder(_ body: (_ path: String) throws -> Void = { _ in }) throws -> String {
        let own = try TemporaryFolders.make()
        defer { TemporaryFolders.remove(own) }
        let made = NSTemporaryDirectory() + UUID().uuidString
        try FileSystem.createFolder(made + "/images", intermediates: true)
        try Data("pixels".utf8).write(to: URL(filePath: made + "/images/a.jpg"))
        try body(made)
        try FileSystem.rename(made, to: own + "-other")
        return own + "-other"
    }

    @Test func aFolderIsHeldByItsOwner() throws {
        let folder = try TemporaryFolders.make()
        #expect(isThere(folder))
        #expect(try FileSystem.status(of: folder, followsLinks: false).permissions == 0o700)
        #expect(!TemporaryFolders.abandoned().contains { $0.path == folder })
        TemporaryFolders.removeAbandoned()
        #expect(isThere(folder))
        TemporaryFolders.remove(folder)
        #expect(!isThere(folder))
    }

    @Test func whatAKilledProcessLeftGoes() throws {
        let path = try folder()
        TemporaryFolders.removeAbandoned()
        #expect(!isThere(path))
    }

    @Test func whatAnotherProcessHoldsStays() throws {
        var number: Int32 = -1
        let path = try folder { path in
            number = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            #expect(flock(number, LOCK_EX | LOCK_NB) == 0)
        }
        TemporaryFolders.removeAbandoned()
        #expect(isThere(path))
        close(number)
        TemporaryFolders.removeAbandoned()
        #expect(!isThere(path))
    }

    @Test func bytesOfATreeAreCountedOnce() throws {
        try inScratch { folder in
            try FileSystem.createFolder(folder + "/tree/inner", intermediates: true)
            try Data(count: 100).write(to: URL(filePath: folder + "/tree/inner/a"))
            try Data(count: 7).write(to: URL(filePath: folder + "/tree/b"))
            try Data(count: 50).write(to: URL(filePath: folder + "/outside"))
            try FileSystem.link(folder + "/outside", to: folder + "/tree/linked")
            #expect(FileSystem.byteCount(inTree: folder + "/tree") == 107)
            #expect(try FileSystem.removeTree(folder + "/tree") == 107)
            #expect(!isThere(folder + "/tree"))
        }
    }
}
