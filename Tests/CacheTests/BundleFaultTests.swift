// Export and import of bundles on a disk that fails: nothing half-written is visible, and the next run completes it.

import Foundation
import GraftCache
import GraftSystem
import GraftTensors
import Testing

private let texts = ["w": "1234", "x/y": "12"]

@Suite struct BundleFaultTests {
    /// A cache with a commit and a file of graft's own, and the bundle of them.
    private func source() throws -> Fixture {
        let fixture = try Fixture()
        try fixture.commit("a", of: "models--acme--tiny", files: texts, refs: ["main"])
        _ = try fixture.own("https://example.org/w.bin", "12345")
        return fixture
    }

    private func export(_ fixture: Fixture, to path: String) throws {
        try BundleExport(fixture.inventory.items, of: fixture.inventory).write(to: path)
    }

    /// How many calls of a kind `body` makes below a folder.
    private func count(
        _ call: SystemCall, below folder: String, _ body: () throws -> Void
    ) rethrows -> Int {
        let plan = FaultPlan(.failure(.inputOutput), at: call, number: .max, below: folder)
        try plan.whileInForce(body)
        return plan.callCount
    }

    @Test(arguments: SystemCall.allCases)
    func anExportAppearsWholeOrNotAtAll(_ call: SystemCall) throws {
        let fixture = try source()
        let folder = fixture.root + "/out"
        try FileSystem.createFolder(folder)
        let path = folder + "/b.tar.zst"
        let calls = try count(call, below: folder) { try export(fixture, to: path) }
        try FileSystem.remove(path)
        for number in 0..<calls {
            let plan = FaultPlan(.failure(.noSpace), at: call, number: number, below: folder)
            do {
                try plan.whileInForce { try export(fixture, to: path) }
            } catch {
                #expect(error is FileError, "\(call) \(number): \(error)")
                #expect(!FileSystem.exists(path), "\(call) \(number)")
            }
            for name in FileSystem.names(in: folder) {
                #expect(name == "b.tar.zst", "\(call) \(number) left \(name)")
            }
            try FileSystem.remove(path)
        }
        try export(fixture, to: path)
        #expect(FileSystem.exists(path))
    }

    @Test(arguments: SystemCall.allCases)
    func anImportIsContinued(_ call: SystemCall) throws {
        let fixture = try source()
        let bundle = fixture.root + "/b.tar.zst"
        try export(fixture, to: bundle)
        func load(into other: Fixture) throws {
            _ = try BundleImport(
                bundle, cache: other.cache, hub: HubCache(root: other.hubRoot)
            ).execute()
        }
        let counted = try Fixture()
        let calls = try count(call, below: counted.root) { try load(into: counted) }
        for number in 0..<calls {
            let other = try Fixture()
            let plan = FaultPlan(.failure(.noSpace), at: call, number: number, below: other.root)
            let remark: Comment = "\(call) \(number)"
            do {
                try plan.whileInForce { try load(into: other) }
            } catch {
                #expect(error is any Diagnostic, "\(remark): \(error)")
            }
            // What is visible is whole.
            let found = other.inventory
            var verification = Verification(found.items, of: found)
            verification.run()
            for check in verification.checks where check.outcome != .missing {
                #expect(check.outcome == .intact, "\(remark): \(check.path)")
            }
            try load(into: other)
            let items = other.inventory.items
            #expect(items.map(\.reference) == fixture.inventory.items.map(\.reference), remark)
            #expect(other.inventory.problems.isEmpty, remark)
            #expect(items.map(\.fileCount) == [2, 1], remark)
        }
    }
}
