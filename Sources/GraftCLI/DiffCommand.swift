// `graft diff`: which tensors of two files differ, and by how much.

import ArgumentParser
import Graft
import GraftNetworks
import GraftTensors

struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compare the weights of two files, across formats.",
        discussion: """
            graft diff resnet50.h5 resnet50.safetensors
            graft diff a.pth b.safetensors --tolerance 1e-6 --json

            Where names or shapes are not the same, both files are bound to their networks and \
            compared under the first network's names and axes; where the networks are not the same, \
            the error says in what. Prefixes of wrappers, averaged weights and the state of a training \
            program in a checkpoint are left out, as `graft convert` does. Exit status 1 if they differ.
            """)

    @Argument(help: "A file or reference.") var a: String
    @Argument(help: "A file or reference.") var b: String
    @Option(help: "The largest difference that counts as none.") var tolerance = 0.0
    @Option(help: "Which state dict of checkpoints: a key, or what names begin with (`ema`).")
    var stateDict: String?
    @Option(help: "That of the second file, if it is another.") var secondStateDict: String?
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        guard tolerance >= 0 else { throw ValidationError("--tolerance: expected 0 or more") }
    }

    func run() async throws {
        var first = try await Models.weights(a, stateDict: stateDict)
        var second = try await Models.weights(b, stateDict: secondStateDict ?? stateDict)
        if !WeightDifference.sameOutline(first, second),
            let left = try? await Models.open(a, stateDict: stateDict)
        {
            // Of what is mostly the same, with another head, the rest is compared.
            let isMostlyAlike = WeightDifference.comparable(first, second)
            do {
                if let right = try? await Models.open(b, stateDict: secondStateDict ?? stateDict) {
                    let renamed =
                        WeightDifference.comparable(left.weights, right.weights)
                        ? right.weights : try right.weights(as: left)
                    (first, second) = (
                        withHead(left.weights, of: left, in: first),
                        withHead(renamed, of: right, in: second)
                    )
                } else if isMostlyAlike {
                    (first, second) = (left.weights, fitted(second, to: left))
                }
            } catch  where isMostlyAlike {
                (first, second) = (left.weights, fitted(second, to: left))
            }
        }
        let difference = try WeightDifference(first, second, tolerance: tolerance)
        if json {
            Terminal.answer(try JSON.line(difference))
        } else {
            Terminal.answer(text(difference))
        }
        guard difference.isEqual else { throw ExitCode(1) }
    }

    /// The weights of a network, and those of a head that was left out, without the prefix.
    private func withHead(_ weights: StateDict, of model: Model, in file: StateDict) -> StateDict {
        var all = weights
        var prefix = ""
        for case .stripped(let found, _) in model.weights.remarks { prefix = found }
        for case .headLeftOut(let names, _) in model.weights.remarks {
            for name in names {
                let own = name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
                if all[own] == nil { all[own] = file[name] }
            }
        }
        return all
    }

    /// The weights that fit a network under its names and with its axes, the others as they are.
    private func fitted(_ state: StateDict, to model: Model) -> StateDict {
        let (weights, report) = model.graph.binding(state)
        var all = weights
        for name in report.unexpected + report.mismatched.map(\.name) where all[name] == nil {
            all[name] = state[name]
        }
        return all
    }

    private func text(_ difference: WeightDifference) -> String {
        var lines: [String] = []
        for name in difference.onlyInFirst { lines.append("only in \(a): \(name)") }
        for name in difference.onlyInSecond { lines.append("only in \(b): \(name)") }
        if !difference.different.isEmpty {
            var table = Table(["tensor", "difference", "largest", "mean"], numeric: [2, 3])
            for row in difference.different {
                table.add([
                    row.name, row.reason, row.largest.map { "\(Float($0))" } ?? "",
                    row.mean.map { "\(Float($0))" } ?? "",
                ])
            }
            lines.append(table.text)
        }
        let verdict = difference.isEqual ? "the same" : "different"
        lines.append(
            "\(verdict): \(grouped(difference.equal)) tensors equal, "
                + "\(grouped(difference.different.count)) differ, "
                + "\(grouped(difference.onlyInFirst.count + difference.onlyInSecond.count)) in one only"
        )
        return lines.joined(separator: "\n")
    }
}
