// Fetches on a disk that fails: every call of the system fails once, the next run continues, no wrong byte appears.

import Foundation
import GraftCache
import GraftHub
import GraftSystem
import Testing

/// Enough for a journal, and a few pieces of it.
private let content: [UInt8] = (0..<1_300_000).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 9) }
private let digest = "sha256:" + ContentHasher.sha256(of: content)

/// Answers ranges as a file server does.
private func answer(_ request: Request) -> Reply {
    guard let start = request.rangeStart, start < content.count else {
        return Reply(fields: ["ETag": "\"one\""], body: content)
    }
    return Reply(
        status: 206,
        fields: [
            "ETag": "\"one\"",
            "Content-Range": "bytes \(start)-\(content.count - 1)/\(content.count)",
        ],
        body: Array(content[start...]))
}

/// Whatever can be reached in a cache is right.
private func checkWhatIsVisible(_ cache: Cache, _ reference: String, _ remark: Comment) throws {
    guard let entry = cache.entry(for: reference) else { return }
    let path = cache.path(of: entry)
    #expect(try ContentHasher.over(path).finalize().sha256 == entry.sha256, remark)
    #expect(FileManager.default.contents(atPath: path).map { Array($0) } == content, remark)
}

@Suite(.serialized) struct FetchFaultTests {
    private let server: LoopbackServer
    private let folder = NSTemporaryDirectory() + "graft-fault-" + UUID().uuidString

    init() throws {
        server = try LoopbackServer { request, _ in answer(request) }
    }

    /// How many calls of a kind a fetch into an empty cache makes.
    private func count(_ call: SystemCall) async throws -> Int {
        let root = "\(folder)/count-\(call)"
        // Which no call reaches.
        let plan = FaultPlan(.failure(.inputOutput), at: call, number: .max, below: root)
        _ = try await plan.whileInForce {
            try await Hub(cache: Cache(root: root)).fetch(server.base + "/w.bin", digest: digest)
        }
        return plan.callCount
    }

    @Test(arguments: SystemCall.allCases)
    func everyCallMayFail(_ call: SystemCall) async throws {
        defer {
            server.stop()
            try? FileManager.default.removeItem(atPath: folder)
        }
        let reference = server.base + "/w.bin"
        let count = try await count(call)
        // The first calls one by one, later ones (pieces of the same file) by samples.
        let numbers = Set(
            Array(0..<min(count, 8)) + stride(from: 8, to: count, by: max(1, count / 3)))
        for number in numbers.sorted() {
            for fault in [FaultPlan.Fault.failure(.noSpace), .shortCount] {
                if fault == .shortCount, call != .read, call != .write { continue }
                let root = "\(folder)/\(call)-\(number)-\(fault == .shortCount)"
                let cache = Cache(root: root)
                let hub = Hub(cache: cache)
                let plan = FaultPlan(fault, at: call, number: number, below: root)
                let remark: Comment = "\(call) \(number), \(fault)"
                do {
                    _ = try await plan.whileInForce {
                        try await hub.fetch(reference, digest: digest)
                    }
                } catch {
                    #expect(error is any LocalizedError, "\(remark): \(error)")
                    #expect(fault != .shortCount, remark)
                }
                try checkWhatIsVisible(cache, reference, remark)
                let fetched = try await hub.fetch(reference, digest: digest)
                #expect(fetched.sha256 == digest.dropFirst(7), remark)
                try checkWhatIsVisible(cache, reference, remark)
                #expect(cache.entry(for: reference) != nil, remark)
                try? FileManager.default.removeItem(atPath: root)
            }
        }
    }

    @Test func aFetchThatWasCutIsContinued() async throws {
        let counting = server
        defer {
            counting.stop()
            try? FileManager.default.removeItem(atPath: folder)
        }
        let reference = server.base + "/w.bin"
        // The disk is full when most of the file is there. Which write is the n-th depends on how the bytes
        // arrive; one that hits the journal costs what it would have said.
        var first = 0
        for number in [40, 30, 50, 20] where first == 0 {
            let root = "\(folder)/resumed-\(number)"
            let hub = Hub(cache: Cache(root: root))
            let plan = FaultPlan(
                .failure(.noSpace), at: .write, number: number, below: root + "/partial")
            await #expect(throws: FileError.self) {
                try await plan.whileInForce { _ = try await hub.fetch(reference, digest: digest) }
            }
            #expect(plan.hasStruck)
            let before = server.requests.count
            _ = try await hub.fetch(reference, digest: digest)
            first = server.requests[before...].compactMap(\.rangeStart).min() ?? 0
        }
        #expect(first > 0, "the second run fetched everything again")
    }
}
