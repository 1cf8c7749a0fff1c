// Names of files and folders.

import Foundation
import GraftSystem
import Testing

@Suite struct FileSystemTests {
    @Test func createsAndRemovesFolders() throws {
        try inScratch { folder in
            let deep = folder + "/a/b/c"
            try FileSystem.createFolder(deep, intermediates: true)
            try FileSystem.createFolder(deep, intermediates: true)
            #expect(FileSystem.isFolder(deep))
            #expect(throws: FileError(.create, at: deep, .fileExists)) {
                try FileSystem.createFolder(deep)
            }
            #expect(throws: FileError(.remove, at: folder + "/a", .folderNotEmpty)) {
                try FileSystem.removeFolder(folder + "/a")
            }
            #expect(try FileSystem.removeFolder(deep))
            #expect(try !FileSystem.removeFolder(deep))
            _ = try FileDescriptor(opening: folder + "/file", for: .writing, .exclusive)
            #expect(throws: FileError(.create, at: folder + "/file/x", .notFolder)) {
                try FileSystem.createFolder(folder + "/file/x", intermediates: true)
            }
        }
    }

    @Test func renamesLinksAndRemoves() throws {
        try inScratch { folder in
            let (one, two) = (folder + "/one", folder + "/two")
            try FileDescriptor(opening: one, for: .writing, .exclusive).write([1])
            try FileSystem.link(one, to: two)
            #expect(FileSystem.find(one)?.linkCount == 2)
            #expect(FileSystem.find(one)?.inode == FileSystem.find(two)?.inode)
            try FileSystem.rename(two, to: folder + "/three")
            #expect(FileSystem.names(in: folder) == ["one", "three"])
            #expect(throws: FileError(.rename, at: two, .noSuchFile)) {
                try FileSystem.rename(folder + "/none", to: two)
            }
            #expect(try FileSystem.remove(one) && !FileSystem.remove(one))
        }
    }

    @Test func tellsLinksFromWhatTheyLeadTo() throws {
        try inScratch { folder in
            let link = folder + "/link"
            try FileSystem.createLink(link, to: "nowhere")
            #expect(FileSystem.find(link) == nil && !FileSystem.exists(link))
            #expect(FileSystem.find(link, followsLinks: false)?.kind == .link)
            #expect(FileSystem.destination(ofLink: link) == "nowhere")
            #expect(FileSystem.resolved(link) == nil)
            #expect(FileSystem.resolved(folder + "/.") == FileSystem.resolved(folder))
        }
    }

    @Test func anOpenFolderFollowsNoLinkBelowIt() throws {
        try inScratch { folder in
            let open = try OpenFolder(folder)
            try open.createFolder("inner")
            try open.createFolder("inner")
            try open.createLink("link", to: "inner")
            #expect(throws: FileError.self) { _ = try open.folder("link") }
            let inner = try open.folder("inner")
            try inner.open("file", for: .writing, .create).write(Array("text".utf8))
            #expect(inner.beginning(of: "file", limit: 3) == Array("tex".utf8))
            try inner.rename(.entry("file"), to: "other")
            #expect(inner.find("other")?.byteCount == 4 && inner.find("file") == nil)
            var kinds: [String: FileStatus.Kind] = [:]
            open.forEach { kinds[$0] = $1 }
            #expect(kinds == ["inner": .folder, "link": .link])
            try inner.remove("other")
            try inner.remove("other")
        }
    }

    @Test func mapsWhatIsThere() throws {
        try inScratch { folder in
            let path = folder + "/file"
            try FileDescriptor(opening: path, for: .writing, .exclusive).write([7, 8, 9])
            let mapping = try Mapping(of: FileDescriptor(opening: path), byteCount: 3)
            #expect(Array(mapping.bytes) == [7, 8, 9])
            mapping.populate(0..<3)
            mapping.forget(0..<3)
            #expect(Array(mapping.bytes) == [7, 8, 9])
            let zeros = try Mapping(zeros: 10_000, for: path)
            #expect(Memory.isZero(zeros.bytes))
            zeros.mutableBytes[9_999] = 1
            #expect(!Memory.isZero(zeros.bytes))
        }
    }

    @Test func timesAreRFC3339() {
        #expect(Clock.text(0) == "1970-01-01T00:00:00Z")
        #expect(Clock.text(1_709_210_096) == "2024-02-29T12:34:56Z")
        #expect(Clock.text(-1) == "1969-12-31T23:59:59Z")
        #expect(Clock.monotonicSeconds <= Clock.monotonicSeconds)
    }
}
