// `graft doctor`: what is installed, what the network and the caches look like, and what is broken.

import ArgumentParser
import Glibc
import GraftCache
import GraftExecution
import GraftFormats
import GraftHub
import GraftImages
import GraftSystem
import GraftTensors
import GraftTraining

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Show what is installed and what the network and the caches look like.",
        discussion: """
            Asks the hub two short questions; no token is ever shown. Fails if something is broken.

            Examples:
              graft doctor
              graft doctor --offline --json
            """)
    @Flag(help: "Ask nobody.") var offline = false
    @Option(help: "How many seconds to wait for an answer.") var timeout = 5
    @Flag(help: "Print one JSON object.") var json = false
    @OptionGroup var place: CacheCommand.Place

    struct Answer: Encodable {
        let checks: [HealthCheck]
        let broken: Int
    }

    func validate() throws {
        guard (1...120).contains(timeout) else {
            throw ValidationError("--timeout is 1 to 120 seconds")
        }
    }

    func run() throws {
        let checks =
            Self.program() + NetworkHealth.checks(offline: offline, seconds: timeout)
            + CacheHealth.checks(place.inventory)
        let broken = checks.count { $0.state == .broken }
        if json {
            Terminal.answer(try JSON.line(Answer(checks: checks, broken: broken)))
        } else {
            var area = ""
            for check in checks {
                if check.area != area { Terminal.answer((area.isEmpty ? "" : "\n") + check.area) }
                area = check.area
                let sign =
                    switch check.state {
                    case .ok: "ok    "
                    case .note: "note  "
                    case .broken: "broken"
                    }
                Terminal.answer("  \(sign)  \(check.name): \(check.found)")
                if let hint = check.hint { Terminal.answer("          hint: \(hint)") }
            }
        }
        if broken > 0 { throw ExitCode(1) }
    }

    /// The program, the libraries that it found, and what the machine offers it.
    private static func program() -> [HealthCheck] {
        func check(
            _ name: String, _ found: String, _ state: HealthCheck.State = .ok, hint: String? = nil
        ) -> HealthCheck { HealthCheck("program", name, state, found, hint: hint) }
        var checks = [
            check("graft", GraftCommand.configuration.version),
            check("oneDNN", ExecutionLibrary.version),
            check("HDF5", FormatLibrary.version),
            check("libcurl", NetworkHealth.libraryVersion),
            check("libarchive", ArchiveLibrary.version),
            check("image codecs", ImageLibrary.versions),
        ]
        checks += ImageLibrary.decoders.map { decoder in
            check(
                decoder.kind.name, decoder.found ?? "images cannot be read",
                decoder.found == nil ? .note : .ok,
                hint: decoder.missingPackage.map { "`apt-get install \($0)`" })
        }
        let cpu = Processor.features
        checks.append(
            check(
                "processor",
                "\(Processor.name), \(Threads.usable) threads: "
                    + (cpu.isEmpty ? "no vector extensions known" : cpu.joined(separator: " ")),
                cpu.contains("avx2") || Processor.isARM ? .ok : .note,
                hint: cpu.contains("avx2") || Processor.isARM
                    ? nil : "without AVX2 training and prediction are several times slower"))
        let on = Precision.allCases.filter { $0.reasonOff == nil }.map(\.rawValue)
        let off = Precision.allCases.compactMap { precision in
            precision.reasonOff.map { "\(precision.rawValue) is off: \($0)" }
        }
        checks.append(
            check(
                "precisions",
                (["\(on.joined(separator: ", ")) here"] + off).joined(separator: "; ")))
        checks.append(
            MPICrew.isInstalled
                ? check("Open MPI", "installed")
                : check(
                    "Open MPI", "not installed", .note,
                    hint: "only `graft train --distributed` needs it: `apt-get install openmpi-bin`"
                ))
        let held = Confinement.supported
        checks.append(
            check(
                "sandbox",
                "Landlock "
                    + (held.contains(.landlock) ? "ABI \(Confinement.landlockVersion)" : "missing")
                    + ", seccomp " + (held.contains(.seccomp) ? "there" : "missing"),
                held.weakness == nil ? .ok : .note,
                hint: held.weakness.map {
                    "what parses HDF5 files, archives and HEIC, AVIF, TIFF and GIF images is a process of its own, but \($0)"
                }))
        return checks
    }
}

/// What the kernel says of the processor.
private enum Processor {
    private static let lines: [(key: String, value: String)] = {
        guard let bytes = try? readSystemFile("/proc/cpuinfo") else { return [] }
        return bytes.split(separator: "\n").compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let key = line[..<colon].filter { $0 != "\t" }
            return (String(key), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
    }()

    static var isARM: Bool { lines.contains { $0.key == "Features" } }
    static var name: String { lines.first { $0.key == "model name" }?.value ?? "unknown" }

    /// The extensions that make a difference to graft.
    static var features: [String] {
        let wanted = [
            "sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512_vnni",
            "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_tile", "amx_bf16", "amx_int8", "sha_ni",
            "asimd", "asimdhp", "bf16", "i8mm", "sve", "sha2",
        ]
        let line = lines.first { $0.key == "flags" || $0.key == "Features" }?.value ?? ""
        let found = Set(line.split(separator: " ").map(String.init))
        return wanted.filter(found.contains)
    }

    /// A file of `/proc`, whose size nobody knows beforehand.
    private static func readSystemFile(_ path: String) throws -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileError("open", path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < 4 << 20 {
            let count = read(file, &part, part.count)
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
