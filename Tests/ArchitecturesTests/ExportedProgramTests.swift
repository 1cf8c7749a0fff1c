// Programs of torch.export: what writes in place, what is unknown, what is open.

import GraftNetworks
import GraftSchemas
import GraftTensors
import Testing

@testable import GraftArchitectures

struct ExportedProgramTests {
    typealias Node = ExportedProgram.Node
    typealias Argument = ExportedProgram.Argument

    private func node(
        _ target: String, _ arguments: [(name: String, value: Argument)], yields name: String
    ) -> Node {
        Node(
            name: name, target: "torch.ops.aten.\(target)", arguments: arguments,
            outputs: [name], module: "layer1.0.conv")
    }

    /// A program of an input (N, 2, 4, 4); every value has that shape.
    private func program(_ nodes: [Node]) -> ExportedProgram {
        var program = ExportedProgram()
        let value = ExportedProgram.Value(
            sizes: [.symbol("s0"), .fixed(2), .fixed(4), .fixed(4)], type: 7)
        program.values["x"] = value
        for node in nodes {
            for name in node.outputs { program.values[name] = value }
        }
        program.inputs = [("x", .user)]
        program.nodes = nodes
        program.outputs = [nodes.last?.outputs.first ?? "x"]
        return program
    }

    @Test func theBatchMayBeAny() throws {
        let program = program([node("relu.default", [("self", .tensor("x"))], yields: "y")])
        let (graph, _, input) = try ExportedProgramImport.read(program, weights: StateDict())
        #expect(input == 4)
        #expect(try graph.shapes(input: [3, 2, 4, 4])[graph.output] == [3, 2, 4, 4])
    }

    /// The operand's name stands for the new numbers.
    @Test func whatWritesInPlaceIsSeen() throws {
        let program = program([
            node("relu_.default", [("self", .tensor("x"))], yields: "y"),
            node("sigmoid.default", [("self", .tensor("x"))], yields: "z"),
        ])
        let (graph, _, _) = try ExportedProgramImport.read(program, weights: StateDict())
        let last = graph.nodes[graph.output]
        #expect(last.op == .activation(.sigmoid))
        #expect(last.inputs.map { graph.nodes[$0].op } == [.activation(.relu)])
    }

    @Test func aPartThatIsOverwrittenHidesTheWhole() {
        let program = program([
            node("alias.default", [("self", .tensor("x"))], yields: "part"),
            node("relu_.default", [("self", .tensor("part"))], yields: "y"),
            node("sigmoid.default", [("self", .tensor("x"))], yields: "z"),
        ])
        #expect(
            throws: ArchitectureError.exportedProgram(
                node: "z", reason: "it reads `x` after `y` wrote into a part of it")
        ) { try ExportedProgramImport.read(program, weights: StateDict()) }
    }

    @Test func anUnknownOperatorIsRefusedByName() {
        let program = program([
            node("linalg_svd.default", [("self", .tensor("x"))], yields: "y")
        ])
        #expect(
            throws: ArchitectureError.exportedProgram(
                node: "y",
                reason: "graft does not know the operator `torch.ops.aten.linalg_svd.default`")
        ) { try ExportedProgramImport.read(program, weights: StateDict()) }
    }

    @Test func aCycleIsRefused() {
        let program = program([
            node("relu.default", [("self", .tensor("z"))], yields: "y"),
            node("relu.default", [("self", .tensor("y"))], yields: "z"),
        ])
        #expect(
            throws: ArchitectureError.exportedProgram(node: "y", reason: "`z` is missing")
        ) { try ExportedProgramImport.read(program, weights: StateDict()) }
    }

    @Test func aHugeShapeIsRefused() {
        var program = program([
            node("zeros_like.default", [("self", .tensor("x"))], yields: "y")
        ])
        program.values["y"] = .init(sizes: [.fixed(1 << 40), .fixed(1 << 40)], type: 7)
        #expect(
            throws: ArchitectureError.exportedProgram(
                node: "y", reason: "`y` has the sizes \([1 << 40, 1 << 40])")
        ) { try ExportedProgramImport.read(program, weights: StateDict()) }
    }
}
