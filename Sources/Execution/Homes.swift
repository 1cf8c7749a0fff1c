// Concatenations without copies: the parts are written where the whole will lie.

import GraftNetworks
import GraftTensors

/// For each value that goes into a concatenation, or is one, the map that holds it at last.
struct Homes {
    struct Place: Equatable {
        /// The concatenation that has the memory.
        var root: Int
        /// The first channel.
        var start: Int
    }
    private var places: [Int: Place] = [:]
    /// The first channels of all parts of a root.
    private(set) var cuts: [Int: [Int]] = [:]

    /// From the end of the network backwards: the last concatenation that reads a value houses it.
    init(_ graph: Graph, types: [[ValueType]], needed: Set<Int>) {
        for index in graph.nodes.indices.reversed() where needed.contains(index) {
            // Channels of maps and vectors; other parts are copied, and one of several values too.
            guard graph.nodes[index].inputs.allSatisfy({ types[$0].count == 1 }),
                case .concatenate(let op) = graph.nodes[index].op, op.axis == 1,
                [2, 4].contains(types[index][0].shape.rank)
            else { continue }
            var parts: [(node: Int, start: Int)] = []
            var start = 0
            for input in graph.nodes[index].inputs {
                parts.append((input, start))
                start += types[input][0].shape[1]
            }
            let home = places[index] ?? shared(parts) ?? Place(root: index, start: 0)
            places[index] = home
            for part in parts {
                cuts[home.root, default: []].append(home.start + part.start)
                // The input of the network lies where the caller wrote it.
                guard part.node != 0, places[part.node] == nil else { continue }
                places[part.node] = Place(root: home.root, start: home.start + part.start)
            }
        }
    }

    /// The place of all the parts if they are side by side already: as the first of a longer list, in DenseNet.
    private func shared(_ parts: [(node: Int, start: Int)]) -> Place? {
        guard let first = parts.first.flatMap({ places[$0.node] }),
            parts.allSatisfy({
                places[$0.node] == Place(root: first.root, start: first.start + $0.start)
            })
        else { return nil }
        return first
    }

    subscript(node: Int) -> Place? { places[node] }
}
