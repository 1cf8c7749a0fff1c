// `graft cache`: what is on this machine.

import ArgumentParser
import GraftCache
import GraftTensors

struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Show, check and remove what was fetched.",
        subcommands: [List.self, Path.self, Remove.self, Verify.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List what was fetched.")
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            let entries = Cache().entries()
            if json {
                Terminal.answer(try JSON.line(["entries": entries]))
                return
            }
            guard !entries.isEmpty else {
                Terminal.say("nothing yet: `graft fetch` puts files into \(Cache().root)")
                return
            }
            var table = Table(["reference", "size", "sha256", "fetched"], numeric: [1])
            for entry in entries {
                table.add([
                    entry.reference, readableBytes(entry.byteCount),
                    String(entry.sha256.prefix(12)), entry.fetched,
                ])
            }
            Terminal.answer(table.text)
        }
    }

    struct Path: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "path",
            abstract: "Print where the cache is, or where a reference is in it.")
        @Argument(help: "A reference that was fetched.") var reference: String?

        func run() throws {
            let cache = Cache()
            guard let reference else {
                Terminal.answer(cache.root)
                return
            }
            guard let entry = cache.entry(for: reference) else {
                throw CacheError.unknown(reference)
            }
            Terminal.answer(cache.path(of: entry))
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm", abstract: "Remove references, and files that no other one needs.")
        @Argument(help: "References as `graft cache ls` shows them.") var references: [String]

        func run() throws {
            var freed = 0
            for reference in references { freed += try Cache().remove(reference) }
            Terminal.say("freed \(readableBytes(freed))")
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Hash every file again; fails if one changed.")

        func run() throws {
            let cache = Cache()
            var damaged = 0
            for entry in cache.entries() {
                do {
                    try cache.verify(entry)
                    Terminal.answer("ok       \(entry.reference)")
                } catch let error as any Diagnostic {
                    damaged += 1
                    Terminal.answer("damaged  \(entry.reference)")
                    Terminal.report(error)
                }
            }
            if damaged > 0 { throw ExitCode(1) }
        }
    }
}
