// `graft cache repair`: what is wrong with the caches, and mending it.

import ArgumentParser
import GraftCache
import GraftTensors
import Synchronization

extension CacheCommand {
    struct Repair: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "repair",
            abstract: "Find what is wrong with the caches, and remove it.",
            discussion: """
                Links that lead nowhere, references to commits that are not here, snapshots and \
                repositories without files, listings and records that cannot be read, bytes that are not \
                those that were fetched, what dead transfers left, and what nothing leads to. The next \
                `graft fetch` or `hf download` brings what is missing. Repositories that another program \
                is fetching are left alone.

                Examples:
                  graft cache repair --dry-run
                  graft cache repair --no-hash
                """)
        @Flag(inversion: .prefixedNo, help: "Read and hash every file.") var hash = true
        @Flag(help: "Only show what is wrong.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        struct Answer: Encodable {
            let flaws: [Flaw]
            let inUse: [String]
            let repaired: Int
            let freed: Int
            let dryRun: Bool
        }

        func run() throws {
            let inventory = place.inventory
            let total = hash ? Verification(inventory.items, of: inventory).byteCount : 0
            let bar = StepBar("repair", total)
            let repair = GraftCache.Repair(
                of: inventory, hashing: hash, progress: { bar.show($0) })
            bar.end()
            let freed = dryRun ? 0 : try repair.execute()
            let mended = repair.flaws.filter { $0.kind != .foreign }.count
            if json {
                Terminal.answer(
                    try JSON.line(
                        Answer(
                            flaws: repair.flaws, inUse: repair.inUse,
                            repaired: dryRun ? 0 : mended, freed: freed, dryRun: dryRun)))
                return
            }
            for flaw in repair.flaws {
                Terminal.answer(
                    "\(flaw.kind.rawValue)  \(flaw.path)" + (flaw.detail.map { ": \($0)" } ?? ""))
            }
            for name in repair.inUse { Terminal.say("in use, left alone: \(name)") }
            if repair.flaws.isEmpty {
                Terminal.say("nothing is wrong")
            } else if dryRun {
                Terminal.say("would repair \(counted(mended, "flaw"))")
            } else {
                Terminal.say("repaired \(counted(mended, "flaw")), freed \(readableBytes(freed))")
                if repair.flaws.contains(where: \.isLoss) {
                    Terminal.say("hint: `graft fetch` brings back what was lost")
                }
            }
        }
    }
}

/// A number of things: `1 flaw`, `2 flaws`.
func counted(_ count: Int, _ name: String) -> String {
    "\(grouped(count)) \(name)\(count == 1 ? "" : "s")"
}

/// A bar of a hundred steps, for work that many threads do.
final class StepBar: Sendable {
    private let name: String
    private let total: Int
    private let shown = Atomic(-1)

    init(_ name: String, _ total: Int) {
        self.name = name
        self.total = total
    }

    /// Shows how many bytes are done, where that makes a difference.
    func show(_ done: Int) {
        let step = total > 0 ? Int(Double(min(done, total)) / Double(total) * 100) : 100
        guard step > shown.exchange(step, ordering: .relaxed) else { return }
        Terminal.redraw(
            Terminal.bar(
                name, done: done, of: total,
                detail: "\(readableBytes(done)) of \(readableBytes(total))"))
    }

    /// Takes the bar away.
    func end() { Terminal.redraw("") }
}
