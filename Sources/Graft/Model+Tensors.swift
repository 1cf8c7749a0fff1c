// A model as a function of tensors: every input and every output by its name.

package import GraftArchitectures
package import GraftExecution
internal import GraftFormats
package import GraftNetworks
package import GraftTensors

extension Model {
    /// The names of the inputs, in order.
    package var inputNames: [String] { graph.nodes.prefix(graph.inputCount).map(\.name) }

    /// The names of the outputs, in order; one that has no name is called like its layer.
    package var outputNames: [String] {
        graph.outputs.isEmpty ? [graph.nodes[graph.output].name] : graph.outputs.map(\.name)
    }

    /// The values of nodes for tensors in the order of the inputs.
    package func values(
        of outputs: [ValueID], for inputs: [Tensor], options: ExecutionOptions
    ) throws -> [Tensor] {
        let types = zip(inputs, graph.nodes).map { tensor, node -> ValueType in
            guard case .input(let input) = node.op, let type = input.type else {
                return ValueType(tensor.shape)
            }
            return ValueType(tensor.shape, element: type.element)
        }
        let plan = try InferencePlan(
            graph: graph, weights: weights, inputs: types, outputs: outputs, options: options)
        let elements = try graph.types(inputs: types)
        let results = try plan.run(inputs: inputs.map { $0.converted(to: .f32) })
        return zip(outputs, results).map { value, tensor in
            let element = elements[value.node][value.output].element
            return element.isFloatingPoint ? tensor : tensor.converted(to: element)
        }
    }

    /// The values of the outputs of these names.
    package func answers(
        named names: [String], for inputs: [Tensor], options: ExecutionOptions
    ) throws -> [Tensor] {
        let values = try names.map { name -> ValueID in
            if let output = graph.outputs.first(where: { $0.name == name }) { return output.value }
            guard graph.outputs.isEmpty, outputNames == [name] else {
                throw ArchitectureError.outputs(outputNames, selected: name)
            }
            return ValueID(graph.output)
        }
        return try self.values(of: values, for: inputs, options: options)
    }
}

extension Models {
    /// The ONNX model in a file that is here; nil for anything else.
    package static func onnx(at reference: String) throws -> ONNXRun? {
        guard isPath(reference) else { return nil }
        let path = try Checkpoint.file(at: reference)
        guard try Checkpoint.kind(of: path) == .onnx else { return nil }
        return try ONNXRun(path, initializers: try Checkpoint.open(path))
    }
}

extension ONNXFeed {
    /// Tensors by name, and plans that compute what a file asks for.
    package static func planned(
        _ inputs: [String: Tensor], options: ExecutionOptions
    ) -> ONNXFeed {
        ONNXFeed(inputs: inputs) { graph, weights, tensors, wanted in
            let types = tensors.map { ValueType($0.shape, element: $0.dtype) }
            var options = options
            // What is run once is not divided: each part would be compiled.
            options.division = .whole
            let plan = try InferencePlan(
                graph: graph, weights: weights, inputs: types, outputs: wanted, options: options)
            return try plan.run(inputs: tensors.map { $0.converted(to: .f32) })
        }
    }
}
