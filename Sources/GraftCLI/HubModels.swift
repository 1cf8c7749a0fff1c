// `graft models --hub`: a search of the Hub as a table.

import GraftCache
import GraftHub

/// The answer of `graft models --hub`.
enum HubModels {
    private struct Answer: Encodable {
        let models: [HubModel]
    }

    /// Searches and prints.
    static func show(_ query: HubQuery, json: Bool) async throws {
        let found = try await Hub().search(query)
        if json {
            Terminal.answer(try JSON.line(Answer(models: found)))
            return
        }
        var table = Table(
            ["name", "use", "task", "library", "licence", "size", "downloads"], numeric: [5, 6])
        for model in found {
            table.add(
                [
                    model.reference + (model.isGated ? " (gated)" : ""), model.use.rawValue,
                    model.task ?? "–", model.library ?? "–", model.license ?? "–",
                    model.byteCount.map { readableBytes($0) } ?? "–", "\(model.downloads)",
                ].map { Terminal.harmless($0) })
        }
        if !found.isEmpty { Terminal.answer(table.text(fitting: Terminal.answerWidth)) }
        Terminal.say(
            "\(counted(found.count, "model")); use: run (graft has the network), read (weights can be "
                + "converted), none")
    }
}
