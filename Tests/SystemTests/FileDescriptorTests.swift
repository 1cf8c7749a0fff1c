// Open files: read, written and closed, with errors that name operation, path and reason.

import Foundation
import GraftSystem
import Testing

@Suite struct FileDescriptorTests {
    @Test func writesAndReadsAtPlaces() throws {
        try inScratch { folder in
            let path = folder + "/file"
            let file = try FileDescriptor(opening: path, for: .updating, .exclusive)
            try file.write(Array("graft".utf8))
            try Array("XY".utf8).withUnsafeBytes { try file.write($0, at: 6) }
            try file.truncate(to: 9)
            var bytes = [UInt8](repeating: 1, count: 20)
            let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
            #expect(count == 9 && bytes[..<9] == [103, 114, 97, 102, 116, 0, 88, 89, 0])
            #expect(try file.status().byteCount == 9)
            #expect(try file.status().kind == .file)
        }
    }

    @Test func handsAFileOverInPieces() throws {
        try inScratch { folder in
            let path = folder + "/file"
            let bytes = (0..<(1 << 20) + 3).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            try FileDescriptor(opening: path, for: .writing, .exclusive).write(bytes)
            var read: [UInt8] = []
            try FileDescriptor(opening: path).forEachPiece { read += $0 }
            #expect(read == bytes)
        }
    }

    @Test func namesWhatTheSystemRefuses() throws {
        try inScratch { folder in
            let path = folder + "/file"
            #expect(throws: FileError(.open, at: path, .noSuchFile)) {
                _ = try FileDescriptor(opening: path)
            }
            _ = try FileDescriptor(opening: path, for: .writing, .exclusive)
            #expect(throws: FileError(.create, at: path, .fileExists)) {
                _ = try FileDescriptor(opening: path, for: .writing, .exclusive)
            }
            try FileSystem.createLink(folder + "/link", to: "file")
            #expect(throws: FileError(.open, at: folder + "/link", .symbolicLink)) {
                _ = try FileDescriptor(opening: folder + "/link", for: .reading, .noLink)
            }
            #expect(throws: FileError(.write, at: path, .notOpen)) {
                try FileDescriptor(opening: path).write([1])
            }
        }
    }

    @Test func closesOnce() throws {
        try inScratch { folder in
            var file = try FileDescriptor(opening: folder + "/file", for: .writing, .exclusive)
            try file.close()
            #expect(file.number < 0)
            try file.close()
        }
    }

    @Test func aNamelessFileLeavesNothing() throws {
        try inScratch { folder in
            let file = try FileDescriptor(namelessIn: folder)
            try file.write([1, 2, 3])
            #expect(FileSystem.names(in: folder).isEmpty)
            let copy = try file.duplicated()
            #expect(try copy.status().byteCount == 3 && copy.number >= 16)
        }
    }

    @Test func pathsKeepBytesThatAreNoText() throws {
        try inScratch { folder in
            let path = folder + "/" + PathBytes.string([0x61, 0xFF])
            _ = try FileDescriptor(opening: path, for: .writing, .exclusive)
            #expect(FileSystem.names(in: folder) == [PathBytes.string([0x61, 0xFF])])
            #expect(FileSystem.find(path)?.kind == .file)
        }
    }

    @Test func theMessageNamesOperationPathAndReason() {
        let error = FileError(.rename, at: "/a/b", .noSpace)
        #expect(error.message == "cannot rename to `/a/b`: no space left on device")
        #expect(error.hint == "free some space there, or name another folder")
    }
}
