// .pt2 -> Graph: the whole program.

package import GraftNetworks
package import GraftSchemas
package import GraftTensors

/// Reads a program of torch.export as a graph with weights.
package enum ExportedProgramImport {
    /// The network, its weights under their names in the state dict, and the size of image that it was
    /// exported for. `select` names the output to take, of a program with several.
    ///
    /// - Throws: ``ArchitectureError/exportedProgram(node:reason:)`` that names what graft cannot run.
    package static func read(
        _ program: ExportedProgram, weights: StateDict, select: String? = nil
    ) throws -> (graph: Graph, weights: StateDict, input: Extent) {
        var reader = try ATenReader(program, weights: weights)
        for node in program.nodes { try reader.add(node) }
        try reader.addOutputs()
        do {
            return try reader.draft.finish(named: "pt2", select: select)
        } catch let error as ArchitectureError {
            guard case .onnx(let node, let reason) = error else { throw error }
            throw ArchitectureError.exportedProgram(node: node, reason: reason)
        }
    }
}
