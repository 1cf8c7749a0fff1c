// Conditions and loops: the graphs inside an operator, read as often as they run.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

/// `If`, `Loop` and `Scan`.
enum ONNXControl {
    /// The most rounds of a loop.
    private static let maximumRounds = 100_000

    /// `If`: one of its branches, by a condition that is known.
    static func readCondition(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        guard let holds = try node.tensor(at: 0)?.doubles.first.map({ $0 != 0 }) else {
            throw node.fail(.computed(.condition))
        }
        let graph = try node.graph(holds ? "then_branch" : "else_branch")
        return try reader.run(graph, of: node).enumerated().map { index, name in
            guard let value = reader[name] else {
                throw node.fail(.missingInput(name))
            }
            return value
        }
    }

    /// `Loop`: its body as often as its count and its condition say.
    static func readLoop(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        let body = try node.graph("body")
        let limit = try node.inputs[0] == nil ? nil : node.tensor(at: 0)?.doubles.first
        var goesOn =
            try node.inputs.count > 1 && node.inputs[1] != nil
            ? (node.tensor(at: 1)?.doubles.first ?? 1) != 0 : true
        let count = limit.map { Int(clamping: Int64($0)) } ?? maximumRounds + 1
        let carried = node.inputs.dropFirst(2).map(\.self)
        guard body.input.count == carried.count + 2, body.output.count > carried.count else {
            throw node.fail(.missing(.body))
        }
        // Values that survive a cut have names.
        let names = carried.indices.map { "\(node.label)#carried\($0)" }
        for (name, value) in zip(names, carried) { reader[name] = value }
        let scanned = body.output.count - 1 - carried.count
        var collected: [[String]] = .init(repeating: [], count: scanned)
        var round = 0
        while goesOn, round < count {
            guard round < maximumRounds else {
                throw node.fail(.excess(.rounds, limit: maximumRounds))
            }
            reader[body.input[0].name] = .integer(round)
            reader[body.input[1].name] = .truths([true], shape: [])
            for (input, name) in zip(body.input.dropFirst(2), names) {
                reader[input.name] = reader[name]
            }
            let outputs = try reader.run(body, of: node, keeping: names + collected.flatMap(\.self))
            for (name, output) in zip(names, outputs.dropFirst()) { reader[name] = reader[output] }
            for index in 0..<scanned {
                let name = "\(node.label)#scanned\(index).\(round)"
                reader[name] = reader[outputs[1 + carried.count + index]]
                collected[index].append(name)
            }
            guard case .constant(let condition)? = reader[outputs[0]] else {
                throw node.fail(.computed(.condition))
            }
            goesOn = (condition.doubles.first ?? 0) != 0
            round += 1
        }
        let ends = try names.map { name in
            guard let value = reader[name] else { throw node.fail(.missingInput(name)) }
            return value
        }
        return try ends + collected.map { try stacked($0, axis: 0, of: node, in: &reader) }
    }

    /// `Scan`: its body for each element of an axis.
    static func readScan(_ node: ONNXNode, in reader: inout ONNXReader) throws -> [ONNXValue] {
        let body = try node.graph("body")
        let count = node.integer("num_scan_inputs", or: 0)
        guard node.opset >= 9 else { return try readOldScan(node, in: &reader) }
        let states = node.inputs.count - count
        guard count > 0, states >= 0, body.input.count == node.inputs.count,
            body.output.count >= states
        else { throw node.fail(.missing(.body)) }
        let names = (0..<states).map { "\(node.label)#state\($0)" }
        let lists = (0..<count).map { "\(node.label)#list\($0)" }
        for (index, name) in (names + lists).enumerated() { reader[name] = node.inputs[index] }
        let axes = node.integers("scan_input_axes") ?? []
        let ways = node.integers("scan_input_directions") ?? []
        func axis(_ list: [Int], at index: Int, rank: Int) throws -> Int {
            try node.axis(list.indices.contains(index) ? list[index] : 0, rank: rank)
        }
        let first = try reader.shape(of: try node.value(at: states), for: node)
        let rounds = first[try axis(axes, at: 0, rank: first.rank)]
        let scanned = body.output.count - states
        var collected: [[String]] = .init(repeating: [], count: scanned)
        for round in 0..<rounds {
            for (input, name) in zip(body.input, names) { reader[input.name] = reader[name] }
            for (index, name) in lists.enumerated() {
                guard let list = reader[name] else { throw node.fail(.missingInput(name)) }
                let own = try reader.shape(of: list, for: node)
                let along = try axis(axes, at: index, rank: own.rank)
                guard own[along] == rounds else { throw node.fail(.unfit(.lists, [own])) }
                let isBack = ways.indices.contains(index) && ways[index] != 0
                let place = isBack ? rounds - 1 - round : round
                let cut = try reader.slice(
                    list, axis: along, from: place, to: place + 1, for: node)
                reader[body.input[states + index].name] = try reader.apply(
                    "Squeeze", to: cut, .integers([along]), for: node)
            }
            let kept = names + lists + collected.flatMap(\.self)
            let outputs = try reader.run(body, of: node, keeping: kept)
            for (name, output) in zip(names, outputs) { reader[name] = reader[output] }
            for index in 0..<scanned {
                let name = "\(node.label)#scanned\(index).\(round)"
                reader[name] = reader[outputs[states + index]]
                collected[index].append(name)
            }
        }
        let outAxes = node.integers("scan_output_axes") ?? []
        let outWays = node.integers("scan_output_directions") ?? []
        let ends = try names.map { name in
            guard let value = reader[name] else { throw node.fail(.missingInput(name)) }
            return value
        }
        return try ends
            + collected.enumerated().map { index, list in
                let isBack = outWays.indices.contains(index) && outWays[index] != 0
                let axis = outAxes.indices.contains(index) ? outAxes[index] : 0
                return try stacked(
                    isBack ? list.reversed() : list, axis: axis, of: node, in: &reader)
            }
    }

    /// A value changed by the graph of an attribute, if the node has one. It must need no cut.
    static func changed(
        _ value: ONNXValue, by name: String, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard node.attribute(name) != nil else { return value }
        let body = try node.graph(name)
        guard let input = body.input.first, body.input.count == 1, body.output.count == 1 else {
            throw node.fail(.missingInput(name))
        }
        reader[input.name] = value
        guard let result = reader[try reader.run(body, of: node)[0]] else {
            throw node.fail(.missingInput(name))
        }
        return result
    }

    /// `Scan` of version 8: the first input is a list of lengths, and the first axis the batch.
    private static func readOldScan(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let values = node.inputs.dropFirst().compactMap(\.self)
        guard node.inputs[0] == nil, values.count == node.inputs.count - 1, let first = values.first
        else { throw node.fail(.beyond(.sequencesApart)) }
        let samples = try reader.shape(of: first, for: node)[0]
        var results: [[ONNXValue]] = []
        for sample in 0..<samples {
            let own = try values.map { value in
                let cut = try reader.slice(value, axis: 0, from: sample, to: sample + 1, for: node)
                return try reader.apply("Squeeze", to: cut, .integers([0]), for: node)
            }
            let one = ONNXNode(proto: node.proto, opset: 9, inputs: own)
            results.append(
                try readScan(one, in: &reader).map {
                    try reader.apply("Unsqueeze", to: $0, .integers([0]), for: node)
                })
        }
        return try (0..<(results.first?.count ?? 0)).map { place in
            try reader.concatenate(results.map { $0[place] }, axis: 0, for: node)
        }
    }

    /// Values as elements of an axis of their own.
    private static func stacked(
        _ names: [String], axis: Int, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard !names.isEmpty else { return .numbers([], shape: [0]) }
        let parts = try names.map { name in
            guard let value = reader[name] else { throw node.fail(.missingInput(name)) }
            return try reader.apply("Unsqueeze", to: value, .integers([axis]), for: node)
        }
        let rank = try reader.shape(of: parts[0], for: node).rank
        return try reader.concatenate(parts, axis: try node.axis(axis, rank: rank), for: node)
    }
}

extension ONNXReader {
    /// Reads the nodes of a graph inside an operator; returns the names of its outputs. `kept` are values
    /// of the operator's own, which a cut must not lose.
    fileprivate mutating func run(
        _ graph: Onnx_GraphProto, of node: ONNXNode, keeping kept: [String] = []
    ) throws -> [String] {
        guard frames.count < 64 else { throw node.fail(.excess(.nesting, limit: 64)) }
        for initializer in graph.initializer {
            do { self[initializer.name] = .constant(try initializer.tensor()) } catch {
                throw node.fail(error.reason)
            }
        }
        // A loop reads the outer values again.
        let outer = graph.node.flatMap(\.allReads)
        frames.append(
            ONNXFrame(graph.node, then: graph.output.map(\.name) + kept + outer))
        defer { frames.removeLast() }
        for (index, inner) in graph.node.enumerated() {
            frames[frames.count - 1].position = index
            try add(inner)
        }
        return graph.output.map(\.name)
    }
}

extension ONNXNode {
    /// The name of the node, or of its first value.
    var label: String { proto.name.isEmpty ? proto.output.first ?? proto.opType : proto.name }

    /// The graph of an attribute.
    fileprivate func graph(_ name: String) throws -> Onnx_GraphProto {
        guard let attribute = attribute(name), attribute.hasG else {
            throw fail(.missingInput(name))
        }
        return attribute.g
    }
}
