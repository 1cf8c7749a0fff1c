// Graphs that earlier versions of graft wrote are read for ever.

import Foundation
import GraftNetworks
import GraftTensors
import Testing

/// Reads the graphs of `Tests/Fixtures/models/<version>`, of networks whose weights are too large to
/// keep.
@Suite struct GoldenGraphTests {
    private struct Answers: Decodable {
        /// The number of weights by the name of the network.
        var graphs: [String: Int]
    }

    @Test func readsGraphs() throws {
        let folder =
            URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().path + "/Fixtures/models/0.1"
        let data = try #require(FileManager.default.contents(atPath: folder + "/answers.json"))
        let graphs = try JSONDecoder().decode(Answers.self, from: data).graphs
        #expect(graphs.count == 2)
        for (name, count) in graphs {
            let path = "\(folder)/\(name).graph.json"
            let graph = try Graph.decode(json: String(contentsOfFile: path, encoding: .utf8))
            #expect(graph.name == "torchvision/" + name)
            #expect(graph.parameterCount == count)
            #expect(try graph.shapes(input: [1, 3, 224, 224])[graph.output] == [1, 1000])
        }
    }
}
