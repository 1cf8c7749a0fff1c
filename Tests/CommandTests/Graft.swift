// Runs the built `graft` and keeps what it says.

import Foundation

/// The program under test: `$GRAFT`, or the one beside the test bundle.
enum Graft {
    struct Result {
        let status: Int32
        let output: String
        let errors: String
    }

    static var path: String {
        if let path = ProcessInfo.processInfo.environment["GRAFT"] { return path }
        let bundle = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return bundle.deletingLastPathComponent().appendingPathComponent("graft").path
    }

    static func run(
        _ arguments: String..., environment: [String: String] = [:], in folder: String? = nil
    ) throws -> Result {
        try run(arguments: arguments, environment: environment, in: folder)
    }

    static func run(
        arguments: [String], environment: [String: String] = [:], in folder: String? = nil
    ) throws -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        // Files, not pipes: a full pipe that nobody reads would stop the program.
        let base = FileManager.default.temporaryDirectory
            .appendingPathComponent("graft-\(UUID().uuidString)").path
        let (out, err) = (base + ".out", base + ".err")
        defer {
            try? FileManager.default.removeItem(atPath: out)
            try? FileManager.default.removeItem(atPath: err)
        }
        _ = FileManager.default.createFile(atPath: out, contents: nil)
        _ = FileManager.default.createFile(atPath: err, contents: nil)
        process.standardOutput = FileHandle(forWritingAtPath: out)
        process.standardError = FileHandle(forWritingAtPath: err)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus,
            output: try String(contentsOfFile: out, encoding: .utf8),
            errors: try String(contentsOfFile: err, encoding: .utf8))
    }
}
