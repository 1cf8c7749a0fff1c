// Archives are unpacked by a process without rights: names, links and sizes are checked by the parent.

import Foundation
import GraftSystem
import GraftTensors
import Testing

@testable import GraftFormats

@Suite struct ArchiveFilesTests {
    static let places = [Fixture.isolation, .inProcess]

    /// A tar of these members: a name, a type and what is in it or what it leads to.
    private func tar(_ members: [(name: [UInt8], type: Character, text: String)]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, type, text) in members {
            var header = [UInt8](repeating: 0, count: 512)
            func put(_ text: [UInt8], at offset: Int) {
                for (index, byte) in text.enumerated() { header[offset + index] = byte }
            }
            func octal(_ value: Int, digits: Int) -> [UInt8] {
                let text = String(value, radix: 8)
                return Array((String(repeating: "0", count: digits - text.count) + text).utf8)
            }
            let isFile = type == "0"
            put(name, at: 0)
            put(octal(0o644, digits: 7), at: 100)
            put(octal(isFile ? text.utf8.count : 0, digits: 11), at: 124)
            put(octal(0, digits: 11), at: 136)
            put([UInt8](repeating: 32, count: 8), at: 148)
            put(Array(String(type).utf8), at: 156)
            if !isFile { put(Array(text.utf8), at: 157) }
            put(Array("ustar\u{0}00".utf8), at: 257)
            let sum = header.reduce(0) { $0 + Int($1) }
            put(octal(sum, digits: 6) + [0], at: 148)
            bytes += header
            if isFile {
                bytes += Array(text.utf8)
                bytes += [UInt8](repeating: 0, count: (512 - text.utf8.count % 512) % 512)
            }
        }
        return bytes + [UInt8](repeating: 0, count: 1024)
    }

    private func unpack(
        _ bytes: [UInt8], _ isolation: Isolation, limit: Int = 1 << 20, scratch: Scratch
    ) throws -> String {
        let path = scratch.path("set.tar")
        try Data(bytes).write(to: URL(filePath: path))
        let folder = scratch.path("out")
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try ArchiveFiles.unpack(path, into: folder, limit: limit, isolation: isolation) {
            !$0.hasSuffix(".skip")
        }
        return folder
    }

    @Test(arguments: places) func filesAndLinksArriveWherever(_ isolation: Isolation) throws {
        let scratch = try Scratch()
        let long = String(repeating: "a long line of text. ", count: 40_000)
        let folder = try unpack(
            tar([
                (Array("set/cat/1.jpg".utf8), "0", "one"), (Array("set/big.txt".utf8), "0", long),
                (Array("set/no.skip".utf8), "0", long),
                (Array("set/cat/2.jpg".utf8), "1", "set/cat/1.jpg"),
                (Array("set/dog".utf8), "2", "cat"), (Array("set/empty".utf8), "0", ""),
                (Array("caf".utf8) + [0xE9], "0", "raw"),
            ]), isolation, scratch: scratch)
        func text(_ name: String) throws -> String {
            let storage = try Storage(mapping: folder + "/" + name)
            return storage.withBytes { String(decoding: $0, as: UTF8.self) }
        }
        #expect(try text("set/cat/1.jpg") == "one" && text("set/cat/2.jpg") == "one")
        #expect(try text("set/big.txt") == long && text("set/empty") == "")
        #expect(try text("set/dog/1.jpg") == "one")
        #expect(try text(PathBytes.string(Array("caf".utf8) + [0xE9])) == "raw")
        #expect(!FileManager.default.fileExists(atPath: folder + "/set/no.skip"))
    }

    @Test(arguments: places) func namesThatLeadOutAreRefused(_ isolation: Isolation) throws {
        let scratch = try Scratch()
        for name in ["../x", "/tmp/x", "a/../../x", "set/.."] {
            #expect(
                throws: FormatError.malformed(
                    path: scratch.path("set.tar"), format: "archive",
                    .archive(.leadsOut(name)))
            ) { try unpack(tar([(Array(name.utf8), "0", "x")]), isolation, scratch: scratch) }
        }
        // A link out of the folder is made last, and nothing is written through it.
        let folder = try unpack(
            tar([
                (Array("out".utf8), "2", ".."), (Array("out/x".utf8), "0", "inside"),
            ]), isolation, scratch: scratch)
        #expect(FileManager.default.fileExists(atPath: folder + "/out/x"))
        #expect(!FileManager.default.fileExists(atPath: scratch.path("x")))
    }

    @Test(arguments: places) func sizesAreLimited(_ isolation: Isolation) throws {
        let scratch = try Scratch()
        let text = String(repeating: "x", count: 3000)
        #expect(
            throws: FormatError.unsupported(
                path: scratch.path("set.tar"), .unpacksTooMuch(limit: 2000))
        ) {
            try unpack(
                tar([(Array("a".utf8), "0", text)]), isolation, limit: 2000, scratch: scratch)
        }
    }

    @Test(arguments: places) func whatIsNoArchiveSaysSo(_ isolation: Isolation) throws {
        let scratch = try Scratch()
        for bytes in [Array("PK\u{3}\u{4} and nothing".utf8), [0x1F, 0x8B, 8, 0, 1, 2, 3]] {
            do {
                _ = try unpack(bytes, isolation, scratch: scratch)
                Issue.record("nothing was thrown")
            } catch let error as FormatError {
                #expect(error.message.contains(scratch.path("set.tar")))
            }
        }
    }

    /// A zip of stored, empty members; a name with the flag of UTF-8 is marked as such.
    private func zip(_ names: [(bytes: [UInt8], isUTF8: Bool)]) -> [UInt8] {
        func little(_ value: Int, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        var bytes: [UInt8] = []
        var directory: [UInt8] = []
        for (name, isUTF8) in names {
            let fields =
                little(20, 2) + little(isUTF8 ? 0x800 : 0, 2) + little(0, 18)
                + little(name.count, 2) + little(0, 2)
            directory += little(0x0201_4B50, 4) + little(20, 2) + fields + little(0, 10)
            directory += little(bytes.count, 4) + name
            bytes += little(0x0403_4B50, 4) + fields + name
        }
        let count = little(names.count, 2)
        return bytes + directory + little(0x0605_4B50, 4) + little(0, 4) + count + count
            + little(directory.count, 4) + little(bytes.count, 4) + little(0, 2)
    }

    @Test(arguments: places) func namesBeyondASCIIAreKept(_ isolation: Isolation) throws {
        let scratch = try Scratch()
        let folder = try unpack(
            zip([
                (Array("été/ü 日本.jpg".utf8), true), (Array("naïve.jpg".utf8), false),
                // Code page 437, as zip archives without the flag have it.
                (Array("h".utf8) + [0x81] + Array("nd.jpg".utf8), false),
            ]), isolation, scratch: scratch)
        for name in ["été/ü 日本.jpg", "naïve.jpg", "hünd.jpg"] {
            #expect(FileManager.default.fileExists(atPath: folder + "/" + name), "\(name)")
        }
    }

    @Test func entriesComeThroughMessagesAsTheyWere() {
        for entry in [
            ArchiveEntry(name: "a/b.jpg", kind: .file, isEncrypted: true),
            ArchiveEntry(name: "ü", kind: .link(to: "../x"), isEncrypted: false),
            ArchiveEntry(name: "b", kind: .sameFile(as: "a"), isEncrypted: false),
        ] {
            let message = entry.message
            #expect(ArchiveEntry(message: message) == entry)
            for count in 0..<min(6, message.count) {
                #expect(ArchiveEntry(message: Array(message[..<count])) == nil)
            }
        }
        #expect(ArchiveEntry(message: [9, 0, 0, 0, 0, 0]) == nil)
        #expect(ArchiveEntry(message: [1, 0, 255, 255, 255, 255]) == nil)
    }
}
