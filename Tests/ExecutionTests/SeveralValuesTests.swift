// Several inputs and outputs, values of other element types, and operations that choose by them.

import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

/// A graph of inputs of these types, to which operations are added.
struct Sketch {
    var nodes: [Node] = []
    var types: [ValueType]
    var weights = StateDict()

    init(_ types: ValueType...) {
        self.types = types
        for (index, type) in types.enumerated() {
            let sizes = type.shape.dimensions.map { OpenType.Size.number($0) }
            nodes.append(
                Node(
                    name: "in\(index)",
                    op: .input(OpenType(element: type.element, sizes: sizes)), inputs: []))
        }
    }

    @discardableResult
    mutating func add(_ op: Op, _ reads: ValueID...) -> Int {
        nodes.append(Node(name: "n\(nodes.count)", op: op, reads: reads))
        return nodes.count - 1
    }

    mutating func constant(_ numbers: [Float], shape: Shape) -> ValueID {
        let name = "c\(nodes.count)"
        nodes.append(
            Node(
                name: name, op: .parameter(shape, learns: true), inputs: [],
                parameters: [Parameter(name: name, shape: shape, role: .value)]))
        weights[name] = LazyTensor(Tensor(numbers, shape: shape))
        return ValueID(nodes.count - 1)
    }

    var graph: Graph {
        Graph(
            name: "sketch", nodes: nodes, output: nodes.count - 1, features: nodes.count - 1,
            logits: nil, naming: .torch)
    }

    /// The values, twice in a row from one plan.
    func run(_ inputs: [Tensor], _ outputs: ValueID...) throws -> [[Float]] {
        let plan = try InferencePlan(
            graph: graph, weights: weights, inputs: types, outputs: outputs)
        let first = try plan.run(inputs: inputs).map(\.floats)
        let second = try plan.run(inputs: inputs).map(\.floats)
        #expect(first == second)
        return first
    }
}

@Suite struct SeveralValuesTests {
    @Test func `A node with several values gives each of them`() throws {
        var sketch = Sketch(ValueType([2, 5]))
        let split = sketch.add(.split(axis: 1, sizes: [2, 3]), ValueID(0))
        let sum = sketch.add(.reduce(.sum, axes: [1], keepsAxes: false), ValueID(split, output: 1))
        let x = Tensor([0, 1, 2, 3, 4, 10, 11, 12, 13, 14], shape: [2, 5])
        let found = try sketch.run(
            [x], ValueID(split), ValueID(split, output: 1), ValueID(sum))
        #expect(found == [[0, 1, 10, 11], [2, 3, 4, 12, 13, 14], [9, 39]])
    }

    @Test func `Several inputs of several types meet`() throws {
        var sketch = Sketch(ValueType([3, 2]), ValueType([2, 2], element: .i64))
        sketch.add(.gather(axis: 0), ValueID(0), ValueID(1))
        let table = Tensor([0, 1, 10, 11, 20, 21], shape: [3, 2])
        let indices = Tensor([2, 0, -1, 1], shape: [2, 2])
        let found = try sketch.run([table, indices], ValueID(2))
        #expect(found == [[20, 21, 0, 1, 20, 21, 10, 11]])
        #expect(throws: ExecutionError.index(layer: "n2", index: 3, count: 3)) {
            try sketch.run([table, Tensor([3, 0, 0, 0], shape: [2, 2])], ValueID(2))
        }
        #expect(throws: ExecutionError.inputCount(expected: 2, found: 1)) {
            try sketch.run([table], ValueID(2))
        }
    }

    @Test func `Numbers are chosen by comparisons`() throws {
        var sketch = Sketch(ValueType([2, 3]), ValueType([3]))
        let less = sketch.add(.compare(.less), ValueID(0), ValueID(1))
        let chosen = sketch.add(.where, ValueID(less), ValueID(1), ValueID(0))
        let cast = sketch.add(.cast(.i64), ValueID(chosen))
        let found = try sketch.run(
            [
                Tensor([0.5, 2.5, -3.5, 4.5, -5.5, 6.5], shape: [2, 3]),
                Tensor([1, 2, 3], shape: [3]),
            ], ValueID(less), ValueID(chosen), ValueID(cast))
        #expect(
            found == [
                [1, 0, 1, 0, 1, 0], [1, 2.5, 3, 4.5, 2, 6.5], [1, 2, 3, 4, 2, 6],
            ])
    }

    @Test func `The largest numbers come first, of equal ones the earlier`() throws {
        var sketch = Sketch(ValueType([2, 4]))
        let top = sketch.add(.topK(axis: 1, count: 2, largest: true), ValueID(0))
        let least = sketch.add(
            .argExtreme(axis: 0, largest: false, keepsAxis: false), ValueID(0))
        let x = Tensor([3, 7, 7, 1, 5, -2, 8, 5], shape: [2, 4])
        let found = try sketch.run(
            [x], ValueID(top), ValueID(top, output: 1), ValueID(least))
        #expect(found == [[7, 7, 8, 5], [1, 2, 2, 0], [0, 1, 0, 0]])
    }

    /// A product takes in the sum after it; with one sample it is as large as the weight.
    @Test func `A sum is not written over a weight that is a value`() throws {
        var sketch = Sketch(ValueType([1, 3]))
        let bias = sketch.constant([1, 2], shape: [1, 2])
        sketch.nodes.append(
            Node(
                name: "product", op: .linear(outputs: 2, bias: false), inputs: [0],
                parameters: [Parameter(name: "w", shape: [2, 3], role: .matrix)]))
        sketch.weights["w"] = LazyTensor(Tensor([1, 0, 0, 0, 1, 1], shape: [2, 3]))
        sketch.add(.add, ValueID(2), bias)
        let x = Tensor([1, 2, 3], shape: [1, 3])
        #expect(try sketch.run([x], ValueID(3)) == [[2, 7]])
    }

    @Test func `A graph with several values survives its JSON`() throws {
        var sketch = Sketch(ValueType([2, 5]), ValueType([2], element: .i64))
        let split = sketch.add(.split(axis: 1, sizes: [2, 3]), ValueID(0))
        sketch.add(.gather(axis: 1), ValueID(split, output: 1), ValueID(1))
        let graph = sketch.graph
        let json = try graph.json()
        #expect(json.hasSuffix(#""version":2}"#))
        #expect(throws: NetworkError.formatVersion(3, newest: 2)) {
            try Graph.decode(json: json.replacing(#""version":2}"#, with: #""version":3}"#))
        }
        #expect(json.contains("\"inputs\":[[2,1],1]"))
        #expect(json.contains("{\"input\":{\"element\":\"I64\",\"sizes\":[2]}}"))
        _ = try graph.types(inputs: sketch.types)
        let misfit = OpFlaw.elementType(expected: .i64, found: .f32)
        #expect(throws: NetworkError.invalidNode("in1", reason: misfit.explanation)) {
            try graph.types(inputs: [ValueType([2, 5]), ValueType([2])])
        }
        sketch.nodes[3].reads[0] = ValueID(split, output: 2)
        #expect(
            throws: NetworkError.invalidNode(
                "n3", reason: "reads value 2 of `n2`, which has 2")
        ) { try sketch.graph.types(inputs: sketch.types) }
    }
}
