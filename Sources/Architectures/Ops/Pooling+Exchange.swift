// Maxima and means of windows in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.MaxPool: ExportableOp {
    var keepsIntegers: Bool { true }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        guard case .zeroSame = window.padding else {
            return graph.emit("MaxPool", at: site, attributes: window.onnxAttributes(at: site))
        }
        // ONNX pads a maximum with −∞, and here the zeros are values.
        let padding = window.resolvedPadding(height: site.before[2], width: site.before[3])
        let padded = graph.pad(site.x, by: padding, value: 0, name: site.name + ".padded")
        var bare = window
        bare.padding = .valid
        var grown = site.before
        grown[2] += padding.top + padding.bottom
        grown[3] += padding.left + padding.right
        return graph.emit(
            "MaxPool", name: site.name, inputs: [padded],
            attributes: bare.onnxAttributes(from: grown, to: site.after))
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let isZeros = window.padding == .zeroSame || model.isNonNegative(at: site)
        return try model.pool(
            "MaxPooling2D", at: site, window: window, hasSame: true,
            border: isZeros ? .zeros : .other)
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let window = try Window(
            node, kernel: node.integers("kernel_shape") ?? [], over: x, in: reader)
        return try reader.emit(.maxPool(window), for: node, reading: [x])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try reader.add(.maxPool(try Window(pooling: call.layer)), for: call)
    }
}

extension Op.AveragePool: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            "AveragePool", at: site,
            attributes: window.onnxAttributes(at: site) + [
                "count_include_pad": .integer(countsPadding ? 1 : 0)
            ])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let border: KerasModel.Border =
            switch window.padding {
            case .zeroSame: .zeros
            case .same, .explicit: countsPadding ? .zerosOfWholeWindows : .other
            }
        return try model.pool(
            "AveragePooling2D", at: site, window: window, hasSame: !countsPadding, border: border)
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let window = try Window(
            node, kernel: node.integers("kernel_shape") ?? [], over: x, in: reader)
        let counts = node.integer("count_include_pad", or: 0) == 1
        return try reader.emit(
            .averagePool(window, countsPadding: counts), for: node, reading: [x])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let window = try Window(pooling: call.layer)
        return try reader.add(.averagePool(window, countsPadding: false), for: call)
    }
}

extension KerasModel {
    /// The elements that a pool sees around a map.
    fileprivate enum Border {
        /// Zeros, or what gives the same result.
        case zeros
        /// Zeros, unless an incomplete last window reaches over them.
        case zerosOfWholeWindows
        /// No elements.
        case other
    }

    /// Adds a pool; `hasSame` says whether Keras' "same" is the window's.
    fileprivate mutating func pool(
        _ kind: String, at site: KerasSite, window: Window, hasSame: Bool, border: Border
    ) throws -> Int {
        var config: [String: JSONTree] = [
            "pool_size": .extent(window.kernel), "strides": .extent(window.stride),
            "data_format": "channels_last",
        ]
        guard window.dilation == 1 else { throw site.unsupported("a dilated pool") }
        var x = site.x
        var padding = window.resolvedPadding(height: site.before[2], width: site.before[3])
        if window.padding == .same, hasSame {
            config["padding"] = "same"
        } else if window.roundsUp || padding != .zero {
            // Whole windows: what `ceil_mode` adds is padding at the end.
            let height = site.before[2] + padding.top + padding.bottom
            let width = site.before[3] + padding.left + padding.right
            let reach = Extent(
                (site.after[2] - 1) * window.stride.height + window.kernel.height,
                (site.after[3] - 1) * window.stride.width + window.kernel.width)
            let more = Extent(max(0, reach.height - height), max(0, reach.width - width))
            let isZeros =
                switch border {
                case .zeros: true
                case .zerosOfWholeWindows: more == 0
                case .other: false
                }
            guard isZeros else { throw site.unsupported("a pool whose padding is not zeros") }
            padding.bottom += more.height
            padding.right += more.width
            if padding != .zero {
                x = zeroPadding(padding, of: x, shape: site.before, at: site, suffix: "_pad")
            }
            config["padding"] = "valid"
        } else {
            config["padding"] = "valid"
        }
        return layer(kind, at: site, reading: [x], config: config)
    }
}
