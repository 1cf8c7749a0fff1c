// Functions in Keras configurations: names and constants, in either order, of Keras 1 to 3.

import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

@testable import GraftArchitectures

@Suite struct KerasOperationsTests {
    /// The operations of a functional model of Keras 2 that calls these functions one after another.
    private func keras2(
        _ layers: [(kind: String, function: String, node: JSONTree)], size: JSONTree = [8, 8]
    ) throws -> [Op] {
        var list: [JSONTree] = [
            [
                "class_name": "InputLayer", "name": "in", "inbound_nodes": [],
                "config": [
                    "name": "in",
                    "batch_input_shape": [.null, size.array?[0] ?? 8, size.array?[1] ?? 8, 3],
                ],
            ]
        ]
        for (index, layer) in layers.enumerated() {
            list.append([
                "class_name": .string(layer.kind), "name": .string("f\(index)"),
                "config": ["name": .string("f\(index)"), "function": .string(layer.function)],
                "inbound_nodes": [layer.node],
            ])
        }
        return try open(list, last: "f\(layers.count - 1)", version: "2.13.0")
    }

    private func open(_ layers: [JSONTree], last: String, version: String) throws -> [Op] {
        let model: JSONTree = [
            "class_name": "Functional",
            "config": [
                "name": "m", "layers": .array(layers), "input_layers": [["in", 0, 0]],
                "output_layers": [[.string(last), 0, 0]],
            ],
        ]
        let state = StateDict(metadata: ["keras_version": version], axes: .keras)
        let (graph, _, _) = try KerasConfig.open(try model.text(), state: state)
        return graph.nodes.prefix(graph.output + 1).dropFirst().map(\.op)
    }

    private func affine(_ scale: [Float], _ shift: [Float]) -> [Op] {
        [.affine(scale: scale, shift: shift)]
    }

    @Test func arithmeticKeepsTheOrderOfItsOperands() throws {
        let f = "TFOpLambda"
        #expect(
            try keras2([(f, "math.subtract", ["in", 0, 0, ["y": 3, "name": nil]])])
                == affine([1], [-3]))
        #expect(
            try keras2([
                (f, "math.subtract", ["_CONSTANT_VALUE", -1, 3, ["y": ["in", 0, 0]]])
            ]) == affine([-1], [3]))
        #expect(
            try keras2([(f, "math.truediv", ["in", 0, 0, ["y": [2, 4, 8]]])])
                == affine([0.5, 0.25, 0.125], [0, 0, 0]))
        #expect(
            try keras2([(f, "nn.bias_add", ["in", 0, 0, ["bias": [1, 2, 3]]])])
                == affine([1, 1, 1], [1, 2, 3]))
        #expect(
            try keras2([(f, "__operators__.add", ["in", 0, 0, ["y": ["in", 0, 0]]])]) == [.add])
        for (node, reason) in [
            (["in", 0, 0, ["y": 0]] as JSONTree, "not finite"),
            (["in", 0, 0, ["y": [1, 2]]], "expected 1 or one for each"),
            (["_CONSTANT_VALUE", -1, 3, ["y": ["in", 0, 0]]], "on these operands"),
        ] {
            let error = #expect(throws: ArchitectureError.self) {
                try keras2([(f, "math.truediv", node)])
            }
            #expect(error?.message.contains(reason) == true)
        }
    }

    @Test func channelsAreReversed() throws {
        let dots: JSONTree = ["class_name": "__ellipsis__"]
        let back: JSONTree = ["start": nil, "stop": nil, "step": -1]
        let reversed: [Op] = [
            .slice(start: 2, count: 1), .slice(start: 1, count: 1), .slice(start: 0, count: 1),
            .concatenate,
        ]
        let getitem = "__operators__.getitem"
        #expect(
            try keras2([
                ("SlicingOpLambda", getitem, ["in", 0, 0, ["slice_spec": [dots, back]]])
            ]) == reversed)
        #expect(try keras2([("TFOpLambda", "reverse", ["in", 0, 0, ["axis": [-1]]])]) == reversed)
        let first: JSONTree = ["start": 1, "stop": 3, "step": nil]
        #expect(
            try keras2([
                ("SlicingOpLambda", getitem, ["in", 0, 0, ["slice_spec": [dots, first]]])
            ]) == [.slice(start: 1, count: 2)])
        // Rows in the opposite order are another thing.
        #expect(throws: ArchitectureError.self) {
            try keras2([
                (
                    "SlicingOpLambda", getitem,
                    [
                        "in", 0, 0,
                        ["slice_spec": [["start": nil, "stop": nil, "step": nil], back]],
                    ]
                )
            ])
        }
        // One channel has no axis of channels: only stacking gives it one.
        #expect(throws: ArchitectureError.self) {
            try keras2([
                ("SlicingOpLambda", getitem, ["in", 0, 0, ["slice_spec": [dots, 0]]]),
                ("TFOpLambda", "nn.relu", ["f0", 0, 0, ["name": nil]]),
            ])
        }
    }

    @Test func sizesThatAreKnownAreCutAndEnlarged() throws {
        func layer(_ kind: String, _ config: JSONTree, any: Bool = false) throws -> [Op] {
            let size: JSONTree = any ? [.null, .null] : [8, 8]
            guard case .object(var settings) = config else { return [] }
            settings["name"] = "l"
            return try open(
                [
                    [
                        "class_name": "InputLayer", "name": "in", "inbound_nodes": [],
                        "config": [
                            "batch_input_shape": [
                                .null, size.array?[0] ?? 1, size.array?[1] ?? 1, 3,
                            ]
                        ],
                    ],
                    [
                        "class_name": .string(kind), "name": "l", "config": .object(settings),
                        "inbound_nodes": [[["in", 0, 0, [:]]]],
                    ],
                ], last: "l", version: "2.13.0")
        }
        #expect(try layer("Resizing", ["height": 8, "width": 8]).isEmpty)
        #expect(
            try layer("Resizing", ["height": 16, "width": 24])
                == [.upsample(height: 2, width: 3, bilinear: true)])
        #expect(
            try layer("Resizing", ["height": 5, "width": 16])
                == [.resize(to: .sizes(height: 5, width: 16), mode: .linear)])
        // An image of any size is resized by the model, also to the size that is usual for it.
        #expect(
            try layer("Resizing", ["height": 224, "width": 224], any: true)
                == [.resize(to: .sizes(height: 224, width: 224), mode: .linear)])
        #expect(
            try layer(
                "Resizing", ["height": 4, "width": 6, "crop_to_aspect_ratio": true])
                == [
                    .pad(Padding(top: -1, left: 0, bottom: -2, right: 0), value: 0),
                    .resize(to: .sizes(height: 4, width: 6), mode: .linear),
                ])
        #expect(try layer("Permute", ["dims": [3, 1, 2]]) == [.transpose([0, 3, 1, 2])])
        #expect(
            try layer("CenterCrop", ["height": 5, "width": 6])
                == [.pad(Padding(top: -1, left: -1, bottom: -2, right: -1), value: 0)])
        for (kind, size, any) in [
            ("Resizing", 0, false), ("CenterCrop", 9, false), ("CenterCrop", 4, true),
        ] {
            #expect(throws: ArchitectureError.self, "\(kind) \(size)") {
                try layer(kind, ["height": .integer(size), "width": .integer(size)], any: any)
            }
        }
        // Settings that TensorFlow 1.11 wrote as arrays.
        let wrapped: JSONTree = ["type": "ndarray", "value": 6]
        let none: JSONTree = ["type": "ndarray", "value": 0]
        #expect(
            try layer("ReLU", ["max_value": wrapped, "negative_slope": none, "threshold": none])
                == [.activation(.relu6)])
    }

    @Test func quantisedLayersAreNamed() throws {
        let policy: JSONTree = [
            "class_name": "QuantizedDTypePolicy", "config": ["mode": "int8"],
        ]
        let error = #expect(throws: ArchitectureError.self) {
            try open(
                [
                    [
                        "class_name": "InputLayer", "name": "in", "inbound_nodes": [],
                        "config": ["batch_shape": [.null, 8, 8, 3]],
                    ],
                    [
                        "class_name": "Dense", "name": "d",
                        "config": ["name": "d", "units": 2, "dtype": policy],
                        "inbound_nodes": [[["in", 0, 0, [:]]]],
                    ],
                ], last: "d", version: "3.0.0")
        }
        #expect(error == .quantized(mode: "int8", names: ["d"]))
    }

    @Test func keras1IsTranslated() throws {
        let (kind, config) = try Keras1.modern(
            "AtrousConvolution2D",
            [
                "nb_filter": 4, "nb_row": 3, "nb_col": 5, "subsample": [2, 2],
                "border_mode": "same", "dim_ordering": "tf", "bias": false, "atrous_rate": [1, 1],
            ], name: "c")
        #expect(kind == "Conv2D")
        #expect(config["filters"] == 4 && config["kernel_size"] == [3, 5])
        #expect(config["strides"] == [2, 2] && config["padding"] == "same")
        #expect(config["data_format"] == "channels_last" && config["use_bias"] == false)
        #expect(
            try Keras1.modern("Merge", ["mode": "concat", "concat_axis": 3], name: "m").kind
                == "Concatenate")
        #expect(throws: ArchitectureError.self) {
            try Keras1.modern("Merge", ["mode": "dot"], name: "m")
        }
        #expect(throws: ArchitectureError.self) {
            try Keras1.modern("BatchNormalization", ["mode": 1], name: "b")
        }
    }
}
