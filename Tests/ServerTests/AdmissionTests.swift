// Many connections and few places: who is closed, who waits, and how a server stops.

import Foundation
import Synchronization
import Testing

@testable import GraftServer

@Suite struct AdmissionTests {
    @Test func idleConnectionsMakeRoom() async throws {
        var limits = ServerLimits()
        limits.connections = 20
        limits.connectionsPerAddress = 20
        try await serving(limits: limits, handler: echo) { port in
            var idle: [RawClient] = []
            for _ in 0..<200 { idle.append(try RawClient(port: port)) }
            let last = try RawClient(port: port)
            last.send(head("GET /last HTTP/1.1", "Connection: close"))
            #expect(last.rest().hasSuffix("GET /last 0\n"))
            // The first ones were closed for the later ones.
            #expect(idle[0].receive() == [])
        }
    }

    @Test func noAddressTakesAllPlaces() {
        let admission = Admission(ServerLimits().possible(openFiles: 200))
        var started: [String] = []
        let seen = Mutex<[String]>([])
        // 17 answers at the same time, 8 of them of one address at most.
        for number in 0..<20 {
            #expect(admission.admit("a") { seen.withLock { $0.append("a\(number)") } })
        }
        started = seen.withLock { $0 }
        #expect(started.count == 8 && admission.counts.waiting == 12)
        #expect(admission.admit("b") { seen.withLock { $0.append("b") } })
        #expect(seen.withLock { $0.last } == "b")
        admission.done("a")
        #expect(seen.withLock { $0.last } == "a8" && admission.counts.running == 9)
        for _ in 0..<19 { admission.done("a") }
        #expect(admission.counts.waiting == 0)
        #expect(seen.withLock { $0.count } == 21)
    }

    @Test func tooManyWaitingRequestsAreTurnedAway() async throws {
        var limits = ServerLimits()
        limits.requestsAtOnce = 2
        limits.waitingRequests = 1
        let release = Mutex(false)
        let handler: HTTPServer.Handler = { request in
            while !release.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(2)) }
            return .text(status: 200, "done")
        }
        try await serving(limits: limits, handler: handler) { port in
            // One is answered (half of two), one waits, the third is turned away; health is answered.
            let clients = try (0..<3).map { _ in try RawClient(port: port) }
            for client in clients {
                client.send(head("GET / HTTP/1.1", "Connection: close"))
                try await Task.sleep(for: .milliseconds(50))
            }
            let busy = clients[2].rest()
            #expect(busy.contains(" 503 ") && busy.contains("Retry-After: 1"))
            let health = try RawClient(port: port)
            health.send(head("GET /health HTTP/1.1", "Connection: close"))
            #expect(health.rest().contains("\"running\":1"))
            release.withLock { $0 = true }
            #expect(clients[0].rest().hasSuffix("done\n"))
            #expect(clients[1].rest().hasSuffix("done\n"))
        }
    }

    @Test func stoppingLetsAnswersEnd() async throws {
        let begun = Mutex(false)
        let release = Mutex(false)
        let handler: HTTPServer.Handler = { _ in
            begun.withLock { $0 = true }
            while !release.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(2)) }
            return .text(status: 200, "whole")
        }
        let server = HTTPServer(port: 0, handler: handler)
        let (addresses, continuation) = AsyncStream<String>.makeStream()
        let task = Task { try await server.run { continuation.yield($0) } }
        var iterator = addresses.makeAsyncIterator()
        let port = try #require(
            await iterator.next()?.split(separator: ":").last.flatMap { Int($0) })
        let (idle, busy) = (try RawClient(port: port), try RawClient(port: port))
        // Answered once, so that the server knows it: one that waits to be accepted is reset.
        idle.send(head("GET /health HTTP/1.1"))
        #expect(idle.until("}").contains("\"running\""))
        busy.send(head("GET / HTTP/1.1"))
        #expect(await eventually { begun.withLock { $0 } })
        task.cancel()
        #expect(idle.receive() == [])
        release.withLock { $0 = true }
        let text = busy.rest()
        #expect(text.hasSuffix("whole\n") && text.contains("Connection: close"))
        try await task.value
        #expect(throws: RawClient.Refused()) { try RawClient(port: port) }
    }

    @Test func aConnectionEndsAfterItsRequests() async throws {
        var limits = ServerLimits()
        limits.requestsPerConnection = 3
        try await serving(limits: limits, handler: echo) { port in
            let client = try RawClient(port: port)
            client.send((0..<5).map { head("GET /\($0) HTTP/1.1") }.joined())
            let text = client.rest()
            #expect(text.contains("GET /2 0\n") && !text.contains("GET /3"))
        }
    }

    @Test func addressesThatCannotBeListenedOnAreNamed() async throws {
        await #expect(throws: ServerError.noAddress("nowhere.example")) {
            try await HTTPServer(host: "nowhere.example", port: 0, handler: echo).run()
        }
        try await serving(handler: echo) { port in
            let taken = ServerError.cannotListen(
                host: "127.0.0.1", port: port, reason: "address already in use")
            await #expect(throws: taken) {
                try await HTTPServer(port: port, handler: echo).run()
            }
            return
        }
    }
}
