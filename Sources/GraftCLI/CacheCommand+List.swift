// `graft cache ls` and `du`: what is there, and the room that it takes.

import ArgumentParser
import GraftCache
import GraftTensors

extension CacheCommand {
    enum Order: String, ExpressibleByArgument, CaseIterable { case name, size, used, modified }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "ls", abstract: "List what is there.",
            discussion: """
                Examples:
                  graft cache ls
                  graft cache ls 'timm/*' --sort size --limit 10
                  graft cache ls --filter 'used>30d' --revisions --json
                """, aliases: ["list"])
        @Argument(help: "Patterns with `*` that names must match one of.") var patterns: [String] =
            []
        @OptionGroup var selection: Selection
        @Flag(help: "One line per commit.") var revisions = false
        @Option(help: "name, size, used or modified; all but names from the top.")
        var sort = Order.name
        @Option(help: "At most so many lines.") var limit: Int?
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        func run() throws {
            let inventory = place.inventory
            let items = try selection.accepted(inventory.items).filter { item in
                patterns.isEmpty
                    || patterns.contains { item.isNamed($0) || matchesPattern($0, item.id) }
            }
            var lines = CacheLine.lines(items, of: inventory)
            let total = lines.count
            switch sort {
            case .name: break
            case .size: lines.sort { $0.bytes > $1.bytes }
            case .used: lines.sort { $0.usedSeconds > $1.usedSeconds }
            case .modified: lines.sort { $0.modifiedSeconds > $1.modifiedSeconds }
            }
            if let limit { lines = Array(lines.prefix(max(limit, 0))) }
            for (id, problem) in inventory.problems { Terminal.say("warning: \(id): \(problem)") }
            if json {
                Terminal.answer(
                    try JSON.line(
                        Answer(
                            items: lines, bytesOnDisk: inventory.byteCountOnDisk,
                            cache: inventory.cache.root, hub: inventory.hub.root)))
                return
            }
            guard !lines.isEmpty else {
                Terminal.say(
                    total == 0 && !inventory.items.isEmpty
                        ? "nothing matches"
                        : "nothing yet: `graft fetch` puts files into \(inventory.hub.root) and "
                            + inventory.cache.root)
                return
            }
            Terminal.answer(table(lines).text)
            Terminal.say(
                "\(grouped(total)) items, \(readableBytes(inventory.byteCountOnDisk)) on the disk")
        }

        private func table(_ lines: [CacheLine]) -> Table {
            guard revisions else {
                var table = Table(["name", "size", "used", "refs", ""], numeric: [1])
                for line in lines {
                    let refs = line.revisions.flatMap(\.refs).joined(separator: ", ")
                    table.add([
                        line.id, readableBytes(line.bytes), String(line.used.prefix(10)), refs,
                        line.pinned ? "pinned" : "",
                    ])
                }
                return table
            }
            var table = Table(["name", "commit", "size", "used", "refs", ""], numeric: [2])
            for line in lines {
                for revision in line.revisions {
                    table.add([
                        line.id, revision.commit, readableBytes(revision.bytes),
                        String(revision.used.prefix(10)), revision.refs.joined(separator: ", "),
                        revision.pinned ? "pinned" : "",
                    ])
                }
                if line.revisions.isEmpty {
                    table.add([
                        line.id, "–", readableBytes(line.bytes), String(line.used.prefix(10)), "",
                        line.pinned ? "pinned" : "",
                    ])
                }
            }
            return table
        }

        struct Answer: Encodable {
            let items: [CacheLine]
            let bytesOnDisk: Int
            let cache: String
            let hub: String
        }
    }

    struct Usage: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "du", abstract: "Show the room that each kind of thing takes.",
            discussion: "What several items share counts in each of them, but once on the disk.")
        @Flag(help: "Print one JSON object, sizes in bytes.") var json = false
        @OptionGroup var place: Place

        struct Answer: Encodable {
            struct Kind: Encodable {
                var items = 0
                var bytes = 0
            }
            let kinds: [String: Kind]
            let bytesOnDisk: Int
            let bytesOfPartials: Int
            let bytesOfDuplicates: Int
            let bytesOfLitter: Int
        }

        func run() throws {
            let inventory = place.inventory
            var kinds: [String: Answer.Kind] = [:]
            for line in CacheLine.lines(inventory.items, of: inventory) {
                kinds[line.kind, default: Answer.Kind()].items += 1
                kinds[line.kind, default: Answer.Kind()].bytes += line.bytes
            }
            let litter = Litter(of: inventory).pieces.map(\.byteCount).clampedSum
            let partials =
                (inventory.partials + inventory.repositories.flatMap(\.partials))
                .map(\.byteCount).clampedSum
            let answer = Answer(
                kinds: kinds, bytesOnDisk: inventory.byteCountOnDisk, bytesOfPartials: partials,
                bytesOfDuplicates: Duplicates(of: inventory).byteCount, bytesOfLitter: litter)
            if json {
                Terminal.answer(try JSON.line(answer))
                return
            }
            var table = Table(["kind", "items", "size"], numeric: [1, 2])
            for (kind, count) in kinds.sorted(by: { $0.key < $1.key }) {
                table.add([kind, grouped(count.items), readableBytes(count.bytes)])
            }
            table.add(["unfinished", "", readableBytes(partials)])
            table.add(["on the disk", "", readableBytes(answer.bytesOnDisk)])
            Terminal.answer(table.text)
            let waste = litter + answer.bytesOfDuplicates
            if waste > 0 {
                Terminal.say("`graft cache prune` frees \(readableBytes(waste)) at least")
            }
        }
    }
}

/// One line of `ls`: a repository, a reference or features.
struct CacheLine: Encodable {
    struct Revision: Encodable {
        let commit: String
        let refs: [String]
        let bytes: Int
        let files: Int
        let modified: String
        let used: String
        let pinned: Bool
        let path: String
    }

    let id: String
    let kind: String
    let bytes: Int
    let files: Int
    let modified: String
    let used: String
    let pinned: Bool
    let path: String
    let revisions: [Revision]
    let usedSeconds: Int
    let modifiedSeconds: Int

    enum CodingKeys: CodingKey {
        case id, kind, bytes, files, modified, used, pinned, path, revisions
    }

    /// Items of one repository together, what they share counted once.
    static func lines(_ items: [CacheItem], of inventory: Inventory) -> [CacheLine] {
        let repositories = Dictionary(
            inventory.repositories.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var lines: [CacheLine] = []
        var start = items.startIndex
        while start < items.endIndex {
            let end =
                items[start...].firstIndex {
                    $0.id != items[start].id || $0.kind != items[start].kind
                } ?? items.endIndex
            lines.append(CacheLine(Array(items[start..<end]), repositories[items[start].id]))
            start = end
        }
        return lines.sorted { $0.id < $1.id }
    }

    private init(_ items: [CacheItem], _ repository: HubRepository?) {
        let first = items[0]
        let commits = Set(items.compactMap(\.commit))
        if let repository {
            let chosen = repository.revisions.filter { commits.contains($0.commit) }
            let indices = repository.fileIndices(of: chosen)
            bytes = indices.map { repository.files[$0].byteCount }.clampedSum
            files = indices.count
            path = repository.folder
        } else {
            (bytes, files, path) = (first.byteCount, first.fileCount, first.path)
        }
        id = first.id
        kind = first.kind.rawValue
        usedSeconds = items.map(\.used).max() ?? 0
        modifiedSeconds = items.map(\.modified).max() ?? 0
        used = Quantity.moment(usedSeconds)
        modified = Quantity.moment(modifiedSeconds)
        pinned = items.contains(where: \.isPinned)
        revisions = items.compactMap { item in
            item.commit.map {
                Revision(
                    commit: $0, refs: item.refs, bytes: item.byteCount, files: item.fileCount,
                    modified: Quantity.moment(item.modified), used: Quantity.moment(item.used),
                    pinned: item.isPinned, path: item.path)
            }
        }
    }
}
