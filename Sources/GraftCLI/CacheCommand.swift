// `graft cache`: what is on this machine.

import ArgumentParser
import GraftCache
import GraftTensors

struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Show, check, mend, move and remove what was fetched.",
        discussion: """
            Two caches are shown as one: that of Python's huggingface_hub ($HF_HUB_CACHE), which \
            graft shares with it, and graft's own beside it, with the features of photos.

            Items are called as they are fetched: `hf://org/name`, one commit of it \
            `hf://org/name@<commit or ref>`, `https://…`, `pypi:…`; features are `features/<key>`. \
            Conditions for --filter: size>1GB, used>30d, modified<1w, type=model, refs=main, \
            name=timm/*, pinned=true.
            """,
        subcommands: [
            List.self, Usage.self, Path.self, Remove.self, Prune.self, Collect.self, Verify.self,
            Repair.self, Export.self, Import.self, Pin.self, Unpin.self,
        ])

    /// The options of every subcommand.
    struct Place: ParsableArguments {
        @Option(help: "The Hub cache; $HF_HUB_CACHE or Python's usual place by default.")
        var cacheDir: String?

        var inventory: Inventory { Inventory(hub: HubScanner(root: cacheDir)) }
    }

    /// Which items are meant.
    struct Selection: ParsableArguments {
        @Option(
            name: .shortAndLong, parsing: .singleValue,
            help: "Only what satisfies this condition; may be repeated.")
        var filter: [String] = []

        func accepted(_ items: [CacheItem]) throws -> [CacheItem] {
            let filters = try filter.map { try ItemFilter($0) }
            return items.filter { item in filters.allSatisfy { $0.accepts(item) } }
        }
    }

    struct Path: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "path",
            abstract: "Print where the cache is, or where a reference is in it.")
        @Argument(help: "A reference that was fetched.") var reference: String?
        @Flag(help: "Where the Hub cache is.") var hub = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        func run() throws {
            guard let reference else {
                let root = HubScanner(root: place.cacheDir).root
                let line = try JSON.line(["cache": Cache().root, "hub": root])
                Terminal.answer(json ? line : hub ? root : Cache().root)
                return
            }
            let (items, _) = place.inventory.select([reference])
            // Of several commits the one that `main` names, else the newest.
            guard
                let item = items.first(where: { $0.refs.contains("main") })
                    ?? items.max(by: { $0.modified < $1.modified }), item.fileCount > 0
            else { throw CacheError.unknown(reference) }
            Terminal.answer(
                json
                    ? try JSON.line(["path": item.path, "reference": item.reference]) : item.path)
        }
    }

    struct Pin: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pin",
            abstract: "Keep references whatever else is evicted; without any, list them.",
            discussion: "Example: graft cache pin hf://timm/resnet50.a1_in1k")
        @Argument(help: "References; `hf://org/name` pins all its commits.") var references:
            [String] = []
        @Flag(help: "Print one JSON object.") var json = false

        func run() throws {
            if !references.isEmpty { try Cache().pin(references) }
            let pins = Cache().pins()
            if json {
                Terminal.answer(try JSON.line(["pins": pins]))
            } else if references.isEmpty {
                pins.forEach(Terminal.answer)
            }
        }
    }

    struct Unpin: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "unpin", abstract: "Let references be evicted again.")
        @Argument(help: "References that were pinned.") var references: [String]

        func run() throws {
            let found = try Cache().unpin(references)
            for name in references where !found.contains(name) {
                Terminal.say("`\(name)` was not pinned")
            }
        }
    }
}
