// Bundles and repairs on caches that were written by hand; conformance does it with Python's.

import Foundation
import GraftCache
import GraftSystem
import GraftTensors
import Testing

private let a = String(repeating: "a", count: 40)

@Test func aBundleMovesACache() throws {
    let (one, two) = (try Fixture(), try Fixture())
    try one.commit(
        "a", of: "models--acme--tiny", files: ["w": "1234", "x/y": "12"], refs: ["main"])
    _ = try one.own("https://example.org/w.bin", "1234")
    try one.write("f", one.cache.root + "/features/0123/values")
    let bundle = one.root + "/b.tar.zst"
    let items = one.inventory.items.filter { $0.kind != .features }
    let export = try BundleExport(items, of: one.inventory)
    #expect(export.contentCount == 2 && export.byteCount == 6)
    try export.write(to: bundle)
    #expect(throws: CacheError.notPortable("features/0123")) {
        try BundleExport(one.inventory.items, of: one.inventory)
    }
    let hub = HubCache(root: two.hubRoot)
    let outcomes = try BundleImport(bundle, cache: two.cache, hub: hub).execute()
    #expect(outcomes.map(\.state) == [.added, .added])
    #expect(two.inventory.items.map(\.reference) == items.map(\.reference))
    #expect(two.inventory.problems.isEmpty)
    #expect(two.inventory.items.first?.refs == ["main"])
    #expect(Files.names(in: two.cache.root + "/partial").isEmpty)
    let again = try BundleImport(bundle, cache: two.cache, hub: hub).execute()
    #expect(again.map(\.state) == [.present, .present])
}

@Test func whatIsNoBundleIsRefused() throws {
    let fixture = try Fixture()
    try fixture.write("text", fixture.root + "/text")
    let text = fixture.root + "/text"
    #expect(throws: ArchiveError.unreadable(archive: text, reason: "Unrecognized archive format")) {
        try BundleImport(text)
    }
    let none = fixture.root + "/none"
    #expect(throws: FileError(.open, at: none, .noSuchFile)) { try BundleImport(none) }
}

@Test func repairTakesWhatLeadsNowhere() throws {
    let fixture = try Fixture()
    let folder = "\(fixture.hubRoot)/models--acme--tiny"
    try fixture.commit("a", of: "models--acme--tiny", files: ["w": "1", "v": "2"], refs: ["main"])
    try fixture.commit("b", of: "models--acme--tiny", files: ["w": "3"], refs: ["old"])
    #expect(Repair(of: fixture.inventory, hashing: true).flaws.isEmpty)
    try FileManager.default.removeItem(atPath: "\(folder)/blobs/" + ContentHasher.sha256(of: "3"))
    try fixture.write("X", "\(folder)/blobs/" + ContentHasher.sha256(of: "2"))
    try fixture.write("no commit", "\(folder)/refs/odd")
    let repair = Repair(of: fixture.inventory, hashing: true)
    #expect(
        Set(repair.flaws.map(\.kind)) == [.danglingLink, .emptySnapshot, .damaged, .danglingRef])
    _ = try repair.execute()
    let left = fixture.inventory
    #expect(left.items.map(\.commit) == [a] && left.items.map(\.fileCount) == [1])
    #expect(left.problems.isEmpty)
    #expect(Repair(of: left, hashing: true).flaws.isEmpty)
}
