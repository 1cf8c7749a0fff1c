// Which limits a process with few descriptors can keep.

import Testing

@testable import GraftServer

@Test func descriptorsLimitConnectionsAndAnswers() {
    let few = ServerLimits().possible(openFiles: 1024)
    #expect(few.requestsAtOnce == 120)
    #expect(few.connections == 420)
    #expect(few.connectionsPerAddress == 210)
    #expect(2 * few.connections + few.requestsAtOnce + 64 <= 1024)
    let many = ServerLimits().possible(openFiles: 1 << 20)
    #expect(many.connections == 4096 && many.requestsAtOnce == 512)
    let none = ServerLimits().possible(openFiles: 3)
    #expect(none.connections == 1 && none.requestsAtOnce == 1 && none.connectionsPerAddress == 1)
}
