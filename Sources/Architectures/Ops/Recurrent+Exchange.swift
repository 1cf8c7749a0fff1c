// Recurrent layers of ONNX, a step of the sequence after another.

import GraftNetworks
import GraftTensors

/// `RNN`, `GRU` and `LSTM`.
struct ONNXRecurrence {
    /// The kinds of layer.
    enum Kind {
        case simple, gated, memory

        /// The gates of a cell.
        var gates: Int {
            switch self {
            case .simple: 1
            case .gated: 3
            case .memory: 4
            }
        }
        /// The functions of a direction, unless others are named.
        var functions: [String] {
            switch self {
            case .simple: ["Tanh"]
            case .gated: ["Sigmoid", "Tanh"]
            case .memory: ["Sigmoid", "Tanh", "Tanh"]
            }
        }
    }

    private let kind: Kind
    private let node: ONNXNode
    private let size: Int
    private let samples: Int
    private let steps: Int
    private let clip: Float
    private let functions: [Function]
    private let lengths: [Int]?

    /// The longest sequence whose steps are written into a graph.
    private static let maximumSteps = 4096

    /// A function with the constants that it may take.
    private struct Function {
        let name: String
        let alpha: Float?
        let beta: Float?
    }

    static func read(
        _ kind: Kind, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        // (T, N, C), or with the samples first.
        let isBatchFirst = node.integer("layout", or: 0) != 0
        var x = try node.value()
        if isBatchFirst { x = try reader.transpose(x, by: [1, 0, 2], for: node) }
        let shape = try reader.shape(of: x, for: node)
        let weights = try reader.shape(of: try node.value(at: 2), for: node)
        let direction = node.text("direction") ?? "forward"
        let directions = direction == "bidirectional" ? 2 : 1
        guard shape.rank == 3, weights.rank == 3, weights[0] == directions,
            1...maximumSteps ~= shape[0],
            ["forward", "reverse", "bidirectional"].contains(direction)
        else { throw node.fail(.unfit(.sequence, [shape, weights])) }
        var pieces: [(all: ONNXValue, last: ONNXValue, memory: ONNXValue?)] = []
        for index in 0..<directions {
            let layer = try ONNXRecurrence(
                kind, of: node, steps: shape[0], samples: shape[1], size: weights[2],
                direction: index)
            pieces.append(
                try layer.run(
                    x, direction: index, isReversed: direction == "reverse" || index == 1,
                    isBatchFirst: isBatchFirst, in: &reader))
        }
        func joined(_ parts: [ONNXValue], axis: Int, _ reader: inout ONNXReader) throws -> ONNXValue
        {
            try reader.concatenate(parts, axis: axis, for: node)
        }
        var all = try joined(pieces.map(\.all), axis: 1, &reader)
        var ends = [try joined(pieces.map(\.last), axis: 0, &reader)]
        if kind == .memory {
            ends.append(try joined(pieces.compactMap(\.memory), axis: 0, &reader))
        }
        if isBatchFirst {
            all = try reader.transpose(all, by: [2, 0, 1, 3], for: node)
            ends = try ends.map { try reader.transpose($0, by: [1, 0, 2], for: node) }
        }
        return [all] + ends
    }

    private init(
        _ kind: Kind, of node: ONNXNode, steps: Int, samples: Int, size: Int, direction: Int
    ) throws {
        self.kind = kind
        self.node = node
        self.size = size
        self.samples = samples
        self.steps = steps
        clip = node.number("clip", or: 0)
        let count = kind.functions.count
        let named = node.texts("activations")
        let alphas = node.numbers("activation_alpha") ?? []
        let betas = node.numbers("activation_beta") ?? []
        functions = (0..<count).map { index in
            let place = direction * count + index
            return Function(
                name: named.flatMap { $0.indices.contains(place) ? $0[place] : nil }
                    ?? kind.functions[index],
                alpha: alphas.indices.contains(place) ? alphas[place] : nil,
                beta: betas.indices.contains(place) ? betas[place] : nil)
        }
        lengths = try node.inputs.count > 4 ? node.tensor(at: 4)?.doubles.map { Int($0) } : nil
        guard lengths == nil || lengths?.count == samples,
            lengths?.allSatisfy({ 0...steps ~= $0 }) ?? true
        else { throw node.fail(.unfit(.lengths, [[steps, samples]])) }
        guard kind == .memory ? node.integer("input_forget", or: 0) == 0 : true else {
            throw node.fail(.beyond(.coupledGates))
        }
    }

    /// A part of a weight: `count` rows from `start` on of one direction.
    private func rows(
        _ input: Int, direction: Int, from start: Int, count: Int, in reader: inout ONNXReader
    ) throws -> ONNXValue? {
        guard node.inputs.indices.contains(input), let value = node.inputs[input] else {
            return nil
        }
        let own = try reader.slice(value, axis: 0, from: direction, to: direction + 1, for: node)
        let cut = try reader.slice(own, axis: 1, from: start, to: start + count, for: node)
        return try reader.apply("Squeeze", to: cut, .integers([0]), for: node)
    }

    private func initial(
        _ input: Int, direction: Int, isBatchFirst: Bool, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard node.inputs.indices.contains(input), let value = node.inputs[input] else {
            return .numbers([Float](repeating: 0, count: samples * size), shape: [samples, size])
        }
        let cut = try reader.slice(
            value, axis: isBatchFirst ? 1 : 0, from: direction, to: direction + 1, for: node)
        return try reader.reshape(cut, to: [samples, size], for: node)
    }

    private func apply(
        _ index: Int, to x: ONNXValue, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        var x = x
        if clip > 0 {
            x = try reader.apply("Clip", to: x, .number(-clip), .number(clip), for: node)
        }
        let function = functions[index]
        let known = [
            "Tanh", "Relu", "Sigmoid", "Softsign", "Softplus", "Elu", "LeakyRelu", "HardSigmoid",
            "ThresholdedRelu",
        ]
        switch function.name {
        case let name where known.contains(name):
            var attributes: ONNXGraph.Attributes = [:]
            if let alpha = function.alpha,
                ["Elu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu"].contains(name)
            {
                attributes.append(.number(alpha), named: "alpha")
            }
            if let beta = function.beta, name == "HardSigmoid" {
                attributes.append(.number(beta), named: "beta")
            }
            return try reader.apply(name, to: x, with: attributes, for: node)
        case "Affine":
            let scaled = try reader.apply(
                "Mul", to: x, .number(function.alpha ?? 1), for: node)
            return try reader.apply("Add", to: scaled, .number(function.beta ?? 0), for: node)
        default: throw node.fail("graft does not know the activation `\(function.name)`")
        }
    }

    /// All states of one direction as (T, 1, N, C), and the last as (1, N, C).
    private func run(
        _ x: ONNXValue, direction: Int, isReversed: Bool, isBatchFirst: Bool,
        in reader: inout ONNXReader
    ) throws -> (all: ONNXValue, last: ONNXValue, memory: ONNXValue?) {
        let gates = kind.gates
        guard
            let weights = try rows(
                1, direction: direction, from: 0, count: gates * size, in: &reader)
        else { throw node.fail(.missing(.weights)) }
        let bias = try rows(3, direction: direction, from: 0, count: gates * size, in: &reader)
        let turned = try reader.transpose(weights, by: [1, 0], for: node)
        // What the inputs give to all steps is one product.
        var given = try reader.apply("MatMul", to: x, turned, for: node)
        if let bias { given = try reader.apply("Add", to: given, bias, for: node) }
        let cell = try Cell(of: self, direction: direction, in: &reader)
        var state = try initial(5, direction: direction, isBatchFirst: isBatchFirst, in: &reader)
        var memory =
            kind == .memory
            ? try initial(6, direction: direction, isBatchFirst: isBatchFirst, in: &reader) : nil
        var states = [ONNXValue?](repeating: nil, count: steps)
        for step in 0..<steps {
            let place = isReversed ? steps - 1 - step : step
            let cut = try reader.slice(given, axis: 0, from: place, to: place + 1, for: node)
            let row = try reader.reshape(cut, to: [samples, gates * size], for: node)
            var (next, nextMemory) = try cell.step(row, state: state, memory: memory, in: &reader)
            if let lengths, lengths.contains(where: { place >= $0 }) {
                // A sequence that is over keeps its state and shows zeros.
                let isUnderWay = ONNXValue.truths(lengths.map { place < $0 }, shape: [samples, 1])
                let shown = try reader.apply("Where", to: isUnderWay, next, .number(0), for: node)
                next = try reader.apply("Where", to: isUnderWay, next, state, for: node)
                if let old = memory, let new = nextMemory {
                    nextMemory = try reader.apply("Where", to: isUnderWay, new, old, for: node)
                }
                states[place] = try reader.reshape(shown, to: [1, 1, samples, size], for: node)
            } else {
                states[place] = try reader.reshape(next, to: [1, 1, samples, size], for: node)
            }
            (state, memory) = (next, nextMemory)
        }
        return (
            try reader.concatenate(states.compactMap(\.self), axis: 0, for: node),
            try reader.reshape(state, to: [1, samples, size], for: node),
            try memory.map { try reader.reshape($0, to: [1, samples, size], for: node) }
        )
    }

    /// The weights of one direction that meet the state.
    private struct Cell {
        let layer: ONNXRecurrence
        /// (C, gates · C)
        private let matrix: ONNXValue
        private let bias: ONNXValue?
        /// The weights by which an LSTM's gates look at its memory, each (C).
        private let peepholes: [ONNXValue]

        init(of layer: ONNXRecurrence, direction: Int, in reader: inout ONNXReader) throws {
            self.layer = layer
            let (gates, size, node) = (layer.kind.gates, layer.size, layer.node)
            guard
                let weights = try layer.rows(
                    2, direction: direction, from: 0, count: gates * size, in: &reader)
            else { throw node.fail(.missing(.weights)) }
            matrix = try reader.transpose(weights, by: [1, 0], for: node)
            bias = try layer.rows(
                3, direction: direction, from: gates * size, count: gates * size, in: &reader)
            peepholes =
                layer.kind == .memory
                ? try (0..<3).compactMap {
                    try layer.rows(
                        7, direction: direction, from: $0 * size, count: size, in: &reader)
                } : []
        }

        private func gate(
            _ index: Int, of row: ONNXValue, in reader: inout ONNXReader
        ) throws -> ONNXValue {
            try reader.slice(
                row, axis: 1, from: index * layer.size, to: (index + 1) * layer.size,
                for: layer.node)
        }

        /// The next state, and the next memory of an LSTM.
        func step(
            _ row: ONNXValue, state: ONNXValue, memory: ONNXValue?, in reader: inout ONNXReader
        ) throws -> (ONNXValue, ONNXValue?) {
            let node = layer.node
            func product(_ state: ONNXValue, in reader: inout ONNXReader) throws -> ONNXValue {
                let value = try reader.apply("MatMul", to: state, matrix, for: node)
                return try bias.map { try reader.apply("Add", to: value, $0, for: node) } ?? value
            }
            switch layer.kind {
            case .simple:
                let sum = try reader.apply(
                    "Add", to: row, try product(state, in: &reader), for: node)
                return (try layer.apply(0, to: sum, in: &reader), nil)
            case .gated:
                return (
                    try gatedStep(
                        row, state: state, product: product(state, in: &reader), in: &reader), nil
                )
            case .memory:
                guard let memory else { throw node.fail(.missing(.memory)) }
                let sum = try reader.apply(
                    "Add", to: row, try product(state, in: &reader), for: node)
                func looking(
                    _ index: Int, at memory: ONNXValue, hole: Int, _ reader: inout ONNXReader
                ) throws -> ONNXValue {
                    let own = try gate(index, of: sum, in: &reader)
                    guard peepholes.count == 3 else { return own }
                    return try reader.apply(
                        "Add", to: own,
                        try reader.apply("Mul", to: peepholes[hole], memory, for: node), for: node)
                }
                // Gates in ONNX's order: input, output, forgetting, cell.
                let input = try layer.apply(
                    0, to: looking(0, at: memory, hole: 0, &reader), in: &reader)
                let keep = try layer.apply(
                    0, to: looking(2, at: memory, hole: 2, &reader), in: &reader)
                let cell = try layer.apply(1, to: gate(3, of: sum, in: &reader), in: &reader)
                let next = try reader.apply(
                    "Add", to: try reader.apply("Mul", to: keep, memory, for: node),
                    try reader.apply("Mul", to: input, cell, for: node), for: node)
                let output = try layer.apply(
                    0, to: looking(1, at: next, hole: 1, &reader), in: &reader)
                let shown = try layer.apply(2, to: next, in: &reader)
                return (try reader.apply("Mul", to: output, shown, for: node), next)
            }
        }

        /// (1 − z) · h̃ + z · h with the reset before or after the product.
        private func gatedStep(
            _ row: ONNXValue, state: ONNXValue, product: ONNXValue, in reader: inout ONNXReader
        ) throws -> ONNXValue {
            let (node, size) = (layer.node, layer.size)
            func sum(_ index: Int, in reader: inout ONNXReader) throws -> ONNXValue {
                try reader.apply(
                    "Add", to: try gate(index, of: row, in: &reader),
                    try gate(index, of: product, in: &reader), for: node)
            }
            let update = try layer.apply(0, to: sum(0, in: &reader), in: &reader)
            let reset = try layer.apply(0, to: sum(1, in: &reader), in: &reader)
            let candidate: ONNXValue
            if node.integer("linear_before_reset", or: 0) != 0 {
                candidate = try reader.apply(
                    "Mul", to: reset, try gate(2, of: product, in: &reader), for: node)
            } else {
                let shown = try reader.apply("Mul", to: reset, state, for: node)
                let own = try reader.slice(matrix, axis: 1, from: 2 * size, to: 3 * size, for: node)
                let value = try reader.apply("MatMul", to: shown, own, for: node)
                candidate =
                    try bias.map {
                        try reader.apply(
                            "Add", to: value,
                            try reader.slice($0, axis: 0, from: 2 * size, to: 3 * size, for: node),
                            for: node)
                    } ?? value
            }
            let new = try layer.apply(
                1,
                to: reader.apply("Add", to: gate(2, of: row, in: &reader), candidate, for: node),
                in: &reader)
            // h̃ + z (h − h̃)
            let difference = try reader.apply("Sub", to: state, new, for: node)
            return try reader.apply(
                "Add", to: new, try reader.apply("Mul", to: update, difference, for: node),
                for: node)
        }
    }
}
