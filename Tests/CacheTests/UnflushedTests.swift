// What a power cut may take: large files are proven again after the machine went down.

import Foundation
import GraftCache
import Testing

@Suite struct UnflushedTests {
    /// A file of 300,000 bytes in the cache, and the note that stands for it.
    private func published(_ fixture: Fixture) throws -> (path: String, note: String) {
        let text = String(repeating: "weights ", count: 37_500)
        let path = try fixture.own("https://example.org/large", text)
        let folder = fixture.cache.root + "/unflushed"
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: folder).first)
        return (path, "\(folder)/\(name)")
    }

    /// As if the note were of a time before the machine was started.
    private func age(_ note: String) throws {
        let text = try String(contentsOfFile: note, encoding: .utf8)
        let range = try #require(text.range(of: #""boot":"[^"]*""#, options: .regularExpression))
        try text.replacingCharacters(in: range, with: #""boot":"another""#)
            .write(toFile: note, atomically: true, encoding: .utf8)
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    @Test func whatThePowerCutTookIsRemoved() throws {
        let fixture = try Fixture()
        let (path, note) = try published(fixture)
        try age(note)
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seek(toOffset: 200_000)
        try handle.write(contentsOf: Data(count: 4096))
        try handle.close()
        #expect(Unflushed(fixture.cache).settle() == [path])
        #expect(!exists(path) && !exists(note))
        #expect(fixture.cache.entry(for: "https://example.org/large") == nil)
    }

    @Test func whatIsWholeStays() throws {
        let fixture = try Fixture()
        let (path, note) = try published(fixture)
        // Of this run of the machine, and young: nothing to do yet.
        #expect(Unflushed(fixture.cache).settle() == [])
        #expect(exists(note))
        try age(note)
        #expect(Unflushed(fixture.cache).settle() == [])
        #expect(exists(path) && !exists(note))
    }

    @Test func anOldNoteOfThisRunGoes() throws {
        let fixture = try Fixture()
        let (path, note) = try published(fixture)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: note)
        #expect(Unflushed(fixture.cache).settle() == [])
        #expect(exists(path) && !exists(note))
    }

    @Test func smallFilesNeedNoNote() throws {
        let fixture = try Fixture()
        _ = try fixture.own("https://example.org/small", "weights")
        #expect(!exists(fixture.cache.root + "/unflushed"))
    }
}
