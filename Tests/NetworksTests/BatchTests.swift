// Graphs that were traced with one image, made to hold for any number.

import GraftNetworks
import GraftTensors
import Testing

/// A graph of tokens: a map of 4 × 4 as 16 tokens of 6 numbers, then what `body` adds.
private func tokens(_ body: (inout GraphBuilder, Int) throws -> Int) throws -> Graph {
    var builder = try GraphBuilder(naming: .torch, input: [1, 6, 4, 4])
    let rows = try builder.add(.view([1, 6, 16]), name: "rows", inputs: [0])
    let tokens = try builder.add(.transpose([0, 2, 1]), name: "tokens", inputs: [rows])
    let output = try body(&builder, tokens)
    return builder.graph(name: "tokens", output: output, features: output, logits: nil)
}

@Suite struct BatchTests {
    private let input: Shape = [1, 6, 4, 4]

    private func shape(_ graph: Graph, samples: Int) throws -> Shape {
        try graph.shapes(input: [samples, 6, 4, 4])[graph.output]
    }

    @Test func leavesTheBatchOfViewsOpen() throws {
        let graph = try tokens { builder, x in
            let heads = try builder.add(.view([1, 16, 2, 3]), name: "heads", inputs: [x])
            let turned = try builder.add(.transpose([2, 0, 1, 3]), name: "turned", inputs: [heads])
            // The heads lie before the samples.
            return try builder.add(.view([2, 1, 48]), name: "flat", inputs: [turned])
        }
        #expect(throws: NetworkError.self) { try shape(graph, samples: 3) }
        let any = try graph.forAnyBatch(input: input)
        #expect(try shape(any, samples: 1) == [2, 1, 48])
        #expect(try shape(any, samples: 3) == [2, 3, 48])
    }

    @Test func repeatsWeightsThatAreJoinedWithSamples() throws {
        let graph = try tokens { builder, x in
            let token = try builder.add(
                .parameter([1, 1, 6], learns: true), name: "class", inputs: [])
            return try builder.add(.concatenate(axis: 1), name: "all", inputs: [token, x])
        }
        let any = try graph.forAnyBatch(input: input)
        #expect(try shape(any, samples: 5) == [5, 17, 6])
        #expect(any.nodes.count == graph.nodes.count + 1)
        // Made for any batch already, it stays as it is.
        #expect(try any.forAnyBatch(input: input) == any)
    }

    @Test func joinsWindowsWithTheBatch() throws {
        let graph = try tokens { builder, x in
            let windows = try builder.add(.view([4, 4, 6]), name: "windows", inputs: [x])
            let product = try builder.add(
                .matMul(transposesRight: true), name: "product", inputs: [windows, windows])
            let shares = try builder.add(.softmax(axis: 2), name: "shares", inputs: [product])
            return try builder.add(.view([1, 64]), name: "flat", inputs: [shares])
        }
        let any = try graph.forAnyBatch(input: input)
        #expect(try shape(any, samples: 3) == [3, 64])
    }

    @Test func namesTheLayerThatLosesTheBatch() throws {
        let mixed = try tokens { builder, x in
            try builder.add(.softmax(axis: 0), name: "mixed", inputs: [x])
        }
        let cut = try tokens { builder, x in
            let turned = try builder.add(.transpose([1, 0, 2]), name: "turned", inputs: [x])
            return try builder.add(.view([3, 32]), name: "mingled", inputs: [turned])
        }
        for (graph, name) in [(mixed, "mixed"), (cut, "mingled")] {
            let error = #expect(throws: NetworkError.self) {
                try graph.forAnyBatch(input: input)
            }
            guard case .invalidNode(name, let reason) = error else {
                Issue.record("expected `\(name)` to be named, found \(String(describing: error))")
                continue
            }
            #expect(reason.hasPrefix("its batch of one is fixed"))
        }
    }

    @Test func refusesAnotherBatchThanOne() throws {
        let graph = try tokens { _, x in x }
        #expect(throws: NetworkError.self) { try graph.forAnyBatch(input: [2, 6, 4, 4]) }
    }
}

@Suite struct RewritingTests {
    /// The function as exporters write it out, with the half before or behind.
    @Test(arguments: [true, false]) func findsGELU(halfFirst: Bool) throws {
        var builder = try GraphBuilder(naming: .torch, input: [1, 3, 4, 4])
        func scaled(_ x: Int, by scale: Float, plus shift: Float = 0) throws -> Int {
            try builder.add(
                .affine(scale: [scale], shift: [shift]), name: nil, inputs: [x])
        }
        let error = try builder.add(
            .elementwise(.erf), name: "erf", inputs: [try scaled(0, by: 0.707_106_77)])
        let sum = try scaled(error, by: 1, plus: 1)
        let x = halfFirst ? try scaled(0, by: 0.5) : 0
        var output = try builder.add(.multiply, name: "product", inputs: [x, sum])
        if !halfFirst { output = try scaled(output, by: 0.5) }
        let graph = builder.graph(name: "gelu", output: output, features: output, logits: nil)
        let short = graph.rewritten()
        #expect(short.nodes.map(\.op) == [.input(channels: 3), .activation(.gelu)])
        #expect(short.nodes[short.output].inputs == [0])
    }

    @Test func leavesWhatIsNotGELU() throws {
        var builder = try GraphBuilder(naming: .torch, input: [1, 3, 4, 4])
        let scaled = try builder.add(
            .affine(scale: [0.7], shift: [0]), name: "scaled", inputs: [0])
        let error = try builder.add(.elementwise(.erf), name: "erf", inputs: [scaled])
        let sum = try builder.add(.affine(scale: [1], shift: [1]), name: "sum", inputs: [error])
        let output = try builder.add(.multiply, name: "product", inputs: [0, sum])
        let graph = builder.graph(name: "other", output: output, features: output, logits: nil)
        #expect(graph.rewritten() == graph)
    }
}
