// The JSON of a model whose layers are known, with the models that Keras nests in it.

import GraftNetworks
import GraftTensors

extension KerasModel {
    /// Joins the layers that the publisher has in a model of their own; every index moves.
    mutating func nest() {
        var nested: [KerasNode] = []
        var moved: [Int] = []
        for var node in layers {
            node.inputs = node.inputs.map { moved[$0] }
            if let model = blueprint?.kerasModel(of: node.name) {
                if let last = nested.last, last.name == model, node.inputs == [nested.count - 1] {
                    nested[nested.count - 1].inner.append(node)
                    nested[nested.count - 1].shape = node.shape
                } else {
                    nested.append(
                        KerasNode(
                            name: model, kind: "Sequential", config: .null, inputs: node.inputs,
                            shape: node.shape, weights: [], inner: [node]))
                }
            } else {
                nested.append(node)
            }
            moved.append(nested.count - 1)
        }
        layers = nested
        place = place.map { moved[$0] }
    }

    /// The JSON of `keras.src.models.functional.Functional`.
    func config(_ ordered: [KerasNode]) throws -> JSONTree {
        func reference(_ index: Int) -> JSONTree {
            [
                "class_name": "__keras_tensor__",
                "config": [
                    "shape": dimensions(layers[index].shape), "dtype": "float32",
                    "keras_history": [.string(layers[index].name), 0, 0],
                ],
            ]
        }
        let merges = ["Add", "Multiply", "Concatenate"]
        let described = ordered.map { node -> JSONTree in
            let references = node.inputs.map(reference)
            let arguments: JSONTree =
                merges.contains(node.kind) ? [.array(references)] : .array(references)
            return object(
                node,
                with: [
                    "name": .string(node.name),
                    "inbound_nodes": node.inputs.isEmpty
                        ? [] : [["args": arguments, "kwargs": [:]]],
                ])
        }
        let name = graph.name.map { $0.isLetter || $0.isNumber ? $0 : "_" }
        return [
            "module": "keras.src.models.functional", "class_name": "Functional",
            "registered_name": "Functional",
            "config": [
                "name": .string(String(name)), "trainable": true, "layers": .array(described),
                "input_layers": [[.string(layers[place[0]].name), 0, 0]],
                "output_layers": [[.string(layers[place[graph.output]].name), 0, 0]],
            ],
        ]
    }

    private func dimensions(_ shape: Shape) -> JSONTree {
        let sizes = shape.rank == 4 ? [shape[2], shape[3], shape[1]] : [shape[1]]
        return .array([.null] + sizes.map { .integer($0) })
    }

    /// A layer as Keras serialises it, and what else its model says of it.
    private func object(_ node: KerasNode, with more: [String: JSONTree] = [:]) -> JSONTree {
        var module = "keras.layers"
        var config = node.config
        if node.kind == "LayerScale" { module = "keras.src.applications.convnext" }
        if node.kind == "Sequential" {
            module = "keras"
            let before = node.inputs.first.map { dimensions(layers[$0].shape) } ?? .null
            let input: JSONTree = [
                "module": "keras.layers", "class_name": "InputLayer", "registered_name": nil,
                "config": [
                    "batch_shape": before, "dtype": "float32", "sparse": false, "ragged": false,
                    "name": .string(node.name + "_input"),
                ],
            ]
            config = [
                "name": .string(node.name), "trainable": true, "dtype": "float32",
                "layers": .array([input] + node.inner.map { object($0) }),
                "build_input_shape": before,
            ]
        }
        let plain: [String: JSONTree] = [
            "module": .string(module), "class_name": .string(node.kind), "config": config,
            "registered_name": nil,
        ]
        return .object(plain.merging(more) { $1 })
    }
}
