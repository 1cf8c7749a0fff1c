// `graft cache verify`: hashes everything again, offline.

import ArgumentParser
import GraftCache
import GraftTensors

extension CacheCommand {
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Hash files again, on all cores; fails if one changed.",
            discussion: """
                Sends nothing: the digests are those that the files were fetched by. Files that a \
                commit has and this machine does not are counted; --fail-on-missing-files makes them \
                an error.
                """)
        @Argument(help: "Items as `graft cache ls` shows them; all without any.")
        var references: [String] = []
        @OptionGroup var selection: Selection
        @Flag(help: "Fail too if a commit has files that are not here.")
        var failOnMissingFiles = false
        @Flag(help: "Print one JSON object.") var json = false
        @OptionGroup var place: Place

        struct Answer: Encodable {
            struct Finding: Encodable {
                let id: String
                let commit: String?
                let file: String
                let path: String
                let outcome: String
                let expected: String?
                let found: String?
            }
            let checked: Int
            let bytes: Int
            let intact: Int
            let damaged: Int
            let missing: Int
            let unknown: Int
            let findings: [Finding]
        }

        func run() throws {
            let inventory = place.inventory
            let (items, missing) =
                references.isEmpty ? (inventory.items, []) : inventory.select(references)
            if let name = missing.first { throw CacheError.unknown(name) }
            var verification = Verification(try selection.accepted(items), of: inventory)
            let total = verification.byteCount
            let bar = StepBar("verify", total)
            verification.run { bar.show($0) }
            bar.end()
            let checks = verification.checks
            let isBroken = inventory.problems.contains { problem in
                items.contains { $0.id == problem.id }
            }
            if json {
                Terminal.answer(try JSON.line(answer(checks, total)))
            } else {
                say(checks)
            }
            for (id, problem) in inventory.problems where references.isEmpty || isBroken {
                Terminal.say("warning: \(id): \(problem)")
            }
            let bad = checks.contains {
                switch $0.outcome {
                case .damaged, .unreadable: true
                case .missing: failOnMissingFiles || $0.item.kind == .file
                case .intact, .unknown: false
                }
            }
            if bad { throw ExitCode(1) }
        }

        /// One line an item, and one for each file that is wrong.
        private func say(_ checks: [FileCheck]) {
            for (name, checks) in Dictionary(grouping: checks, by: \.item.reference)
                .sorted(by: { $0.key < $1.key })
            {
                var worst = "ok     "
                for check in checks {
                    switch check.outcome {
                    case .intact: break
                    case .unknown where worst == "ok     ": worst = "unknown"
                    case .missing where check.item.kind == .file: worst = "missing"
                    case .damaged, .unreadable: worst = "damaged"
                    case .unknown, .missing: break
                    }
                }
                Terminal.answer("\(worst)  \(name)")
                for check in checks {
                    switch check.outcome {
                    case .damaged(let expected, let found):
                        Terminal.say(
                            "error: `\(check.path)` changed: expected `\(expected)`, found `\(found)`"
                        )
                    case .unreadable(let reason): Terminal.say("error: \(reason)")
                    case .missing where failOnMissingFiles || check.item.kind == .file:
                        Terminal.say("error: `\(check.name)` of \(name) is not here")
                    case .intact, .unknown, .missing: break
                    }
                }
            }
            if checks.contains(where: {
                if case .damaged = $0.outcome { true } else { false }
            }) {
                Terminal.say(
                    "hint: `graft cache repair`, then `graft fetch NAME`, replaces what is damaged"
                )
            }
        }

        private func answer(_ checks: [FileCheck], _ bytes: Int) -> Answer {
            var counts: [String: Int] = [:]
            let findings = checks.compactMap { check -> Answer.Finding? in
                var digests: (String?, String?) = (nil, nil)
                let outcome: String
                switch check.outcome {
                case .intact: outcome = "intact"
                case .missing: outcome = "missing"
                case .unknown: outcome = "unknown"
                case .unreadable: outcome = "damaged"
                case .damaged(let expected, let found):
                    outcome = "damaged"
                    digests = (expected, found)
                }
                counts[outcome, default: 0] += 1
                guard outcome != "intact" else { return nil }
                return Answer.Finding(
                    id: check.item.id, commit: check.item.commit, file: check.name,
                    path: check.path, outcome: outcome, expected: digests.0, found: digests.1)
            }
            return Answer(
                checked: checks.count, bytes: bytes, intact: counts["intact"] ?? 0,
                damaged: counts["damaged"] ?? 0, missing: counts["missing"] ?? 0,
                unknown: counts["unknown"] ?? 0, findings: findings)
        }
    }
}
