// `graft cache rm`, `prune` and `gc`: what goes, by name, because nothing needs it, or to save room.

import ArgumentParser
import GraftCache
import GraftSystem
import GraftTensors

extension CacheCommand {
    /// What a command removed, or would.
    struct RemovalAnswer: Encodable {
        struct Item: Encodable {
            let id: String
            let commit: String?
            let bytes: Int
        }
        struct Piece: Encodable {
            let kind: String
            let path: String
            let bytes: Int
        }
        let removed: [Item]
        var litter: [Piece] = []
        var linked: Int?
        var inUse: [Item] = []
        let freed: Int
        let dryRun: Bool
        var bytesAfter: Int?

        static func item(_ item: CacheItem) -> Item {
            Item(id: item.id, commit: item.commit, bytes: item.byteCount)
        }

        /// The archives that killed runs left unpacked beside other temporary files; removed, or
        /// only shown.
        static func abandoned(dryRun: Bool) -> [Piece] {
            let folders =
                dryRun ? TemporaryFolders.abandoned() : TemporaryFolders.removeAbandoned()
            return folders.map { Piece(kind: "unpacked", path: $0.path, bytes: $0.byteCount) }
        }

        /// Says it: names on stdout, the sum on stderr.
        func say(json: Bool) throws {
            if json {
                Terminal.answer(try JSON.line(self))
                return
            }
            for item in removed {
                Terminal.answer(item.commit.map { "\(item.id)@\($0)" } ?? item.id)
            }
            for piece in litter { Terminal.answer("\(piece.kind) \(piece.path)") }
            for item in inUse { Terminal.say("in use, kept: \(item.id)") }
            Terminal.say("\(dryRun ? "would free" : "freed") \(readableBytes(freed))")
        }
    }

    struct Remove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rm", abstract: "Remove items, and files that no other one needs.",
            discussion: """
                Examples:
                  graft cache rm hf://timm/resnet50.a1_in1k
                  graft cache rm --filter 'used>90d' --filter type=model --dry-run
                """)
        @Argument(help: "Items as `graft cache ls` shows them, or commits.")
        var references: [String] = []
        @OptionGroup var selection: Selection
        @Flag(help: "Forget too what addresses held when they were first fetched.")
        var forget = false
        @Flag(help: "Only show what would go.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        func validate() throws {
            guard !references.isEmpty || !selection.filter.isEmpty else {
                throw ValidationError("name what to remove, or a condition with --filter")
            }
        }

        func run() throws {
            let inventory = place.inventory
            var (items, missing) =
                references.isEmpty ? (inventory.items, []) : inventory.select(references)
            items = try selection.accepted(items)
            if forget, !dryRun {
                for reference in references where Cache().forgetFirstSeen(reference) {
                    missing.removeAll { $0 == reference }
                }
            }
            if let name = missing.first { throw CacheError.unknown(name) }
            let removal = try Removal(items, of: inventory)
            let freed = dryRun ? removal.byteCount : try removal.execute()
            try RemovalAnswer(
                removed: items.map(RemovalAnswer.item), freed: freed, dryRun: dryRun
            ).say(json: json)
        }
    }

    struct Prune: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "prune",
            abstract: "Remove what nothing leads to, and store the same bytes once.",
            discussion: """
                Commits that no branch or tag names, what is left of transfers that are not running \
                (they cannot be resumed then), blobs of no commit, files of no reference, archives that \
                killed runs left unpacked in $TMPDIR. Files of the same SHA-256 become hard links of one.
                """)
        @Flag(help: "Only show what would go.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        func run() throws {
            let inventory = place.inventory
            let removal = Removal.pruning(inventory)
            var freed = removal.byteCount
            if !dryRun { freed = try removal.execute() }
            // What the commits leave behind is litter by then.
            let rest = dryRun ? inventory : place.inventory
            let litter = Litter(of: rest)
            let duplicates = Duplicates(of: rest)
            if dryRun {
                let gone = Set(removal.items.map(\.path))
                freed +=
                    litter.pieces.filter { !gone.contains($0.path) }
                    .map(\.byteCount).clampedSum
                freed += duplicates.byteCount
            } else {
                freed += try litter.remove()
                freed += try duplicates.link()
            }
            let unpacked = RemovalAnswer.abandoned(dryRun: dryRun)
            freed += unpacked.map(\.bytes).clampedSum
            try RemovalAnswer(
                removed: removal.items.map(RemovalAnswer.item),
                litter: litter.pieces.map {
                    .init(kind: $0.kind.rawValue, path: $0.path, bytes: $0.byteCount)
                } + unpacked,
                linked: duplicates.groups.reduce(0) { $0 + $1.paths.count - 1 },
                inUse: removal.inUse.map(RemovalAnswer.item), freed: freed, dryRun: dryRun
            ).say(json: json)
        }
    }

    struct Collect: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "gc", abstract: "Evict what graft used least recently, up to a size.",
            discussion: """
                By graft's own record of use; what it never used counts from when it was written. \
                Never what is pinned or in use. Archives that killed runs left unpacked in $TMPDIR go too.

                Examples:
                  graft cache gc --max-size 50GB --dry-run
                  graft cache gc --unused 90d
                """)
        @Option(help: "The room that may be taken, such as 50GB.") var maxSize: String?
        @Option(help: "Evict whatever was not used for so long, such as 90d.") var unused: String?
        @Flag(help: "Only show what would go.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        func validate() throws {
            guard maxSize != nil || unused != nil else {
                throw ValidationError("say how much may stay: --max-size 50GB or --unused 90d")
            }
        }

        func run() throws {
            let limit = try maxSize.map { try Quantity.bytes($0) }
            let age = try unused.map { try Quantity.seconds($0) }
            let inventory = place.inventory
            let removal = Removal.collecting(inventory, limit: limit, age: age)
            var freed = dryRun ? removal.byteCount : try removal.execute()
            let unpacked = RemovalAnswer.abandoned(dryRun: dryRun)
            freed += unpacked.map(\.bytes).clampedSum
            let after =
                dryRun
                ? inventory.byteCountOnDisk - removal.byteCount : place.inventory.byteCountOnDisk
            try RemovalAnswer(
                removed: removal.items.map(RemovalAnswer.item), litter: unpacked,
                inUse: removal.inUse.map(RemovalAnswer.item), freed: freed, dryRun: dryRun,
                bytesAfter: after
            ).say(json: json)
            if let limit, after > limit {
                Terminal.say(
                    "warning: \(readableBytes(after)) stay, more than \(readableBytes(limit)): pinned, "
                        + "in use or unfinished; `graft cache prune` removes what is unfinished")
            }
        }
    }
}
