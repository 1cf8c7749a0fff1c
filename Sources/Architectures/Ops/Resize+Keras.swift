// Keras' `Resizing` layer, and the functions `resize` of Keras and TensorFlow.

import GraftNetworks
import GraftTensors

extension Op.Resize {
    /// A size that a Keras model asks for, and how pixels between samples are found.
    private struct Request {
        var height: Int
        var width: Int
        var method: String
        var antialiases = false
    }

    /// `Resizing`: of the whole map, or of the largest part in its middle with the same proportions.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let layer = call.layer
        guard !layer.flag("pad_to_aspect_ratio", or: false) else {
            throw call.fail("it pads to the aspect ratio, which graft does not run")
        }
        let request = Request(
            height: try layer.integer("height", or: 0), width: try layer.integer("width", or: 0),
            method: layer.config["interpolation"]?.string ?? "bilinear",
            antialiases: layer.flag("antialias", or: false))
        try check(request, of: call)
        guard layer.flag("crop_to_aspect_ratio", or: false) else {
            return try resized(call, to: request, shape: call.shape, reading: call.x, in: &reader)
        }
        let (rows, columns) = (call.shape[2], call.shape[3])
        let height = min(rows, columns * request.height / request.width)
        let width = min(columns, rows * request.width / request.height)
        guard reader.hasFixedSize, height > 0, width > 0 else {
            let whole = reader.hasFixedSize ? "\(call.shape)" : "an input of any size"
            throw call.fail("it crops \(whole), which graft does not run")
        }
        let top = (rows - height) / 2
        let left = (columns - width) / 2
        let crop = Padding(
            top: top, left: left, bottom: rows - height - top, right: columns - width - left)
        let part = crop == .zero ? call.x : try reader.crop(call, by: crop, suffix: "_crop")
        return try resized(
            call, to: request, shape: [1, call.shape[1], height, width], reading: part, in: &reader)
    }

    /// The functions `image.resize` and `resize`.
    static func readKerasFunction(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        let size = call.setting("size")?.array?.map { $0.integer ?? 0 } ?? []
        guard size.count == 2, call.setting("preserve_aspect_ratio")?.bool != true,
            call.setting("crop_to_aspect_ratio")?.bool != true,
            call.setting("pad_to_aspect_ratio")?.bool != true
        else { return nil }
        let method = call.setting("method") ?? call.setting("interpolation")
        let request = Request(
            height: size[0], width: size[1], method: method?.string ?? "bilinear",
            antialiases: call.setting("antialias")?.bool ?? false)
        try check(request, of: call)
        return try resized(call, to: request, shape: call.shape, reading: call.x, in: &reader)
    }

    private static func check(_ request: Request, of call: KerasCall) throws {
        let sides = 1...(1 << 16)
        guard call.shape.rank == 4, sides ~= request.height, sides ~= request.width else {
            throw call.fail("its size must be two whole numbers, of a map")
        }
    }

    /// A map of another size, by the rules of `tf.image.resize`: pixels are squares, and a kernel that
    /// reaches over the edge counts only what lies inside.
    private static func resized(
        _ call: KerasCall, to request: Request, shape: Shape, reading x: Int,
        in reader: inout KerasReader
    ) throws -> Int {
        let (height, width) = (request.height, request.width)
        if reader.hasFixedSize {
            if [height, width] == shape.dimensions.suffix(2) { return x }
            if height % shape[2] == 0, width % shape[3] == 0, !request.antialiases,
                ["bilinear", "nearest"].contains(request.method)
            {
                let op = Op.upsample(
                    height: height / shape[2], width: width / shape[3],
                    bilinear: request.method == "bilinear")
                return try reader.add(op, for: call, reading: [x])
            }
        }
        let target = Target.sizes(height: height, width: width)
        let op: Op
        switch request.method {
        case "nearest": op = .resize(to: target, mode: .nearest, rounding: .roundPreferCeil)
        case "bilinear":
            op = .resize(
                to: target, mode: .linear, excludesOutside: request.antialiases,
                antialiases: request.antialiases)
        case "bicubic":
            op = .resize(
                to: target, mode: .cubic, cubic: -0.5, excludesOutside: true,
                antialiases: request.antialiases)
        case let method:
            throw call.fail("its interpolation is `\(method)`, which graft does not run")
        }
        return try reader.add(op, for: call, reading: [x])
    }
}

extension Op.Resize {
    /// Keras' name of the rule by which pixels between samples are found; nil if it has none.
    private var kerasInterpolation: String? {
        switch mode {
        case .nearest: rounding == .roundPreferCeil && !antialiases ? "nearest" : nil
        case .linear: excludesOutside || !antialiases ? "bilinear" : nil
        case .cubic: cubic == -0.5 && excludesOutside ? "bicubic" : nil
        }
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard case .sizes(let height, let width) = target, coordinates == .halfPixel,
            let interpolation = kerasInterpolation
        else { throw site.unsupported("this rule of resizing") }
        return model.layer(
            "Resizing", at: site,
            config: [
                "height": .integer(height), "width": .integer(width),
                "interpolation": .string(interpolation), "antialias": .bool(antialiases),
                "data_format": "channels_last",
            ])
    }
}
