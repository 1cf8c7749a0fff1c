// A parser that a file has taken over can do nothing: every attempt of one is refused.

import Foundation
import GraftSystem
import Testing

struct ConfinementTests {
    /// The program of Tests/Confined, beside the test bundle.
    private static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "graft-confined").path

    /// Runs an attempt; gives what held it, what became of it, and the signal that ended it.
    private func attempt(_ action: String, _ path: String = "-") throws -> (
        held: Confinement, outcome: String, signal: Int32
    ) {
        let process = Process()
        process.executableURL = URL(filePath: Self.program)
        process.arguments = [action, path]
        process.environment = ["SWIFT_BACKTRACE": "enable=no"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(
            decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let lines = text.split(separator: "\n").map(String.init)
        let signal = process.terminationReason == .uncaughtSignal ? process.terminationStatus : 0
        return (
            Confinement(rawValue: Int32(lines.first ?? "") ?? 0), lines.dropFirst().first ?? "",
            signal
        )
    }

    @Test func theAttackerItselfWorks() throws {
        let result = try attempt("nothing")
        #expect(result.outcome == "done" && result.signal == 0)
        #expect(result.held == Confinement.supported)
    }

    /// Without either of the two there is nothing but the limits, and nothing to test.
    private static let isConfined = !Confinement.supported.isEmpty

    @Test(
        .enabled(if: isConfined),
        arguments: [
            "read", "create", "remove", "network", "neighbour", "program", "signal", "thread",
        ])
    func isRefused(_ action: String) throws {
        let scratch = try Scratch()
        // Landlock alone knows files and TCP only.
        guard
            Confinement.supported.contains(.seccomp)
                || ["read", "create", "remove", "program"].contains(action)
        else { return }
        let path = action == "remove" ? try scratch.file("kept", [1]) : scratch.path("made")
        let result = try attempt(action, path)
        #expect([EPERM, EACCES].map(String.init).contains(result.outcome), "\(action): \(result)")
        #expect(FileManager.default.fileExists(atPath: path) == (action == "remove"))
    }

    @Test func whatIsMissingIsSaid() {
        let both: Confinement = [.landlock, .seccomp]
        #expect(both.weakness == nil && Confinement.seccomp.weakness == nil)
        #expect(Confinement.landlock.weakness?.contains("other ways than TCP") == true)
        let none = Confinement(rawValue: 0)
        #expect(none.weakness?.contains("only its memory and time") == true)
    }

    @Test func whatAParentLeftOpenIsClosed() throws {
        #expect(try attempt("leaked").outcome == String(EBADF))
    }

    @Test func memoryIsBounded() throws {
        #expect(try attempt("memory").outcome == String(ENOMEM))
    }

    @Test func timeIsBounded() throws {
        let result = try attempt("spin")
        #expect([SIGXCPU, SIGKILL].contains(result.signal))
    }
}
