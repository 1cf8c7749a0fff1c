// `graft serve` as a process with few descriptors, under thousands of connections that do nothing.

import Foundation
import Glibc
import Testing

/// The process, and connections to it.
private final class Served {
    private let process = Process()
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("graft-\(UUID().uuidString)").path
    private(set) var port = 0

    init(openFiles: Int) throws {
        try FileManager.default.createDirectory(
            atPath: folder + "/hub", withIntermediateDirectories: true)
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c", "ulimit -n \(openFiles) && exec \"$0\" serve --port 0 --cache-dir \"$1\"",
            Graft.path, folder + "/hub",
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var line = ""
        while !line.hasSuffix("\n") {
            let byte = output.fileHandleForReading.readData(ofLength: 1)
            try #require(!byte.isEmpty)
            line += String(decoding: byte, as: UTF8.self)
        }
        port = try #require(Int(line.dropLast().split(separator: ":").last ?? ""))
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Asks it to stop; the status that it ends with.
    func stop() -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    var isRunning: Bool { process.isRunning }

    /// A connection to it; nil where there is none to be had.
    func connected() -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var time = timeval(tv_sec: 20, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if status == 0 { return descriptor }
        close(descriptor)
        return nil
    }

    /// The first line of the answer to a request; empty where none comes.
    func ask(_ target: String) -> String {
        guard let descriptor = connected() else { return "" }
        defer { close(descriptor) }
        let request = Array("GET \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".utf8)
        send(descriptor, request, request.count, Int32(MSG_NOSIGNAL))
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        return String(decoding: answer.prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }
}

@Suite(.serialized) struct ServeTests {
    @Test func `Three thousand idle connections at 256 open files do not stop it`() throws {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        getrlimit(resource, &limit)
        limit.rlim_cur = min(limit.rlim_max, 8192)
        setrlimit(resource, &limit)
        let server = try Served(openFiles: 256)
        var idle: [Int32] = []
        defer { for descriptor in idle { close(descriptor) } }
        for number in 0..<3000 {
            guard let descriptor = server.connected() else { continue }
            idle.append(descriptor)
            if number.isMultiple(of: 2) {
                send(descriptor, Array("GET / HT".utf8), 8, Int32(MSG_NOSIGNAL))
            }
            if number.isMultiple(of: 500) {
                #expect(server.ask("/health") == "HTTP/1.1 200 OK")
            }
        }
        #expect(idle.count > 2500)
        #expect(server.ask("/health") == "HTTP/1.1 200 OK")
        #expect(server.ask("/api/models") == "HTTP/1.1 200 OK")
        #expect(server.isRunning)
        #expect(server.stop() == 0)
    }

    @Test func `Options that do not go together are usage errors`() throws {
        for arguments in [
            ["--writable"], ["--anonymous-read"], ["--max-size", "5GB"], ["--log-format", "xml"],
        ] {
            let result = try Graft.run(arguments: ["serve"] + arguments)
            #expect(result.status == 64, "\(arguments)")
            #expect(result.errors.contains(arguments[0]), "\(arguments)")
        }
        let missing = try Graft.run("serve", "--token-file", "/nowhere/tokens")
        #expect(missing.status == 1 && missing.errors.contains("`/nowhere/tokens`"))
    }
}
