// The way from pixels to a network's input as ONNX operators: any size of image, resize, crop, arithmetic.

internal import GraftSchemas
import GraftTensors

extension ONNXExport {
    /// What happens to an image of any size before the network: (N, H, W, 3) of bytes, red first,
    /// becomes `(x[source] · scale + shift)` of the network's size.
    public struct Input: Sendable {
        /// A resize kernel.
        public enum Kernel: Sendable {
            /// Pillow's nearest neighbour.
            case nearest
            /// Pillow's triangle, widened when shrinking.
            case triangle
            /// Pillow's cubic of a = −½, widened when shrinking.
            case cubic
            /// TensorFlow's bilinear: four neighbours at any scale, fractions kept.
            case fourNeighbours
        }
        /// The size to which an image is resized before the centre is cut out.
        public enum Resize: Sendable {
            /// Both sides.
            case sides(height: Int, width: Int)
            /// The shorter side.
            case shorterSide(Int)
        }

        /// How an image is resized.
        public var resize: Resize
        /// The resize kernel.
        public var kernel: Kernel
        /// For each channel of the network, the channel of RGB that it comes from; one channel is
        /// the luma of them.
        public var sources: [Int]
        /// The factor by channel.
        public var scale: [Float]
        /// The addend by channel.
        public var shift: [Float]
        /// Whether half a pixel is dropped where the centre is cut out; else it goes to the even
        /// neighbour.
        public var cropsDown = false

        /// A preprocessing.
        public init(
            resize: Resize, kernel: Kernel, sources: [Int], scale: [Float], shift: [Float]
        ) {
            self.resize = resize
            self.kernel = kernel
            self.sources = sources
            self.scale = scale
            self.shift = shift
        }
    }

    /// Emits the preprocessing; gives the name of the network's input.
    mutating func prepared(_ input: Input?, height: Int, width: Int) -> String {
        guard let input else { return "input" }
        var x = emit("Transpose", ["input"], "image.first", [("perm", .integers([0, 3, 1, 2]))])
        if input.sources.count == 1 { x = luma(x) }
        x = resized(x, input)
        x = cropped(x, input, height: height, width: width)
        if case .fourNeighbours = input.kernel {} else { x = float(x, "image.float") }
        let channels = input.scale.count
        if channels > 1, input.sources != Array(0..<channels) {
            let order = constant("image.order", input.sources)
            x = emit("Gather", [x, order], "image.ordered", [("axis", .integer(1))])
        }
        let scale = constant("image.scale", input.scale, [1, channels, 1, 1])
        let shift = constant("image.shift", input.shift, [1, channels, 1, 1])
        x = emit("Mul", [x, scale], "image.scaled")
        return emit("Add", [x, shift], "image.normalized")
    }

    private mutating func float(_ x: String, _ name: String) -> String {
        emit("Cast", [x], name, [("to", .integer(1))])
    }

    /// ⌊(19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶⌋: all of it is exact in 32-bit floats.
    private mutating func luma(_ x: String) -> String {
        let numbers = float(x, "image.colors")
        let weights = constant("image.luma", [19595, 38470, 7471], [1, 3, 1, 1])
        let half = constant("image.half", [32768], [1])
        let sum = emit("Conv", [numbers, weights, half], "image.sum")
        let share = constant("image.share", [1.0 / 65536], [])
        let exact = emit("Mul", [sum, share], "image.exact")
        let whole = emit("Floor", [exact], "image.whole")
        return emit("Cast", [whole], "image.grey", [("to", .integer(2))])
    }

    /// Resizes (N, C, H, W) of bytes. Bytes stay bytes, rounded after either pass as Pillow does, but
    /// with TensorFlow's kernel.
    private mutating func resized(_ x: String, _ input: Input) -> String {
        var x = x
        if case .fourNeighbours = input.kernel { x = float(x, "image.float") }
        let channels = constant("image.channels", [input.sources.count == 1 ? 1 : 3])
        let batch = emit(
            "Shape", [x], "image.batch", [("start", .integer(0)), ("end", .integer(1))])
        let sides: String
        switch input.resize {
        case .sides(let height, let width): sides = constant("image.sides", [height, width])
        case .shorterSide(let side):
            // side · (H, W) / min(H, W), cut to integers: torchvision.
            let old = emit(
                "Shape", [x], "image.old", [("start", .integer(2)), ("end", .integer(4))])
            let shorter = emit("ReduceMin", [old], "image.shorter", [("keepdims", .integer(1))])
            let wanted = constant("image.side", [side])
            sides = emit(
                "Div", [emit("Mul", [old, wanted], "image.product"), shorter], "image.sides")
        }
        let sizes = emit(
            "Concat", [batch, channels, sides], "image.sizes", [("axis", .integer(0))])
        var settings: [(String, Setting)] = [
            ("coordinate_transformation_mode", .text("half_pixel"))
        ]
        switch input.kernel {
        case .nearest:
            settings += [("mode", .text("nearest")), ("nearest_mode", .text("round_prefer_ceil"))]
        case .triangle:
            settings += [
                ("mode", .text("linear")), ("antialias", .integer(1)),
                ("exclude_outside", .integer(1)),
            ]
        case .cubic:
            settings += [
                ("mode", .text("cubic")), ("cubic_coeff_a", .number(-0.5)),
                ("antialias", .integer(1)), ("exclude_outside", .integer(1)),
            ]
        case .fourNeighbours: settings.append(("mode", .text("linear")))
        }
        return emit("Resize", [x, "", "", sizes], "image.resized", settings)
    }

    /// Cuts out the centre, padded with zeros where the image is smaller.
    private mutating func cropped(_ x: String, _ input: Input, height: Int, width: Int) -> String {
        var isSmaller = false
        switch input.resize {
        case .sides(height, width): return x
        case .sides(let h, let w): isSmaller = h < height || w < width
        case .shorterSide(let side): isSmaller = side < max(height, width)
        }
        let wanted = constant("image.wanted", [height, width])
        let two = constant("image.two", [2, 2])
        var x = x
        if isSmaller {
            let zero = constant("image.zero", [0, 0])
            let size = emit(
                "Shape", [x], "image.small", [("start", .integer(2)), ("end", .integer(4))])
            let lack = emit(
                "Max", [emit("Sub", [wanted, size], "image.less"), zero], "image.lack")
            let before = emit("Div", [lack, two], "image.before")
            let after = emit("Sub", [lack, before], "image.after")
            let pads = emit(
                "Concat", [zero, before, zero, after], "image.pads", [("axis", .integer(0))])
            x = emit("Pad", [x, pads], "image.padded")
        }
        let size = emit("Shape", [x], "image.new", [("start", .integer(2)), ("end", .integer(4))])
        let rest = emit("Sub", [size, wanted], "image.rest")
        let half = emit("Div", [rest, two], "image.halved")
        var start = half
        if !input.cropsDown {
            // A half rounds to even, as Python's `round`.
            let odd = emit("Mod", [rest, two], "image.odd")
            let step = emit("Mul", [odd, emit("Mod", [half, two], "image.parity")], "image.step")
            start = emit("Add", [half, step], "image.start")
        }
        let end = emit("Add", [start, wanted], "image.end")
        let axes = constant("image.axes", [2, 3])
        return emit("Slice", [x, start, end, axes], "image.cropped")
    }
}
