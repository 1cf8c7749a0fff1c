// The resize kernels of Pillow and TensorFlow as ONNX operators that give the same pixels.

import GraftNetworks

extension ONNXGraph {
    /// Resizes a map (N, C, H, W) of whole numbers from 0 to 255, in single precision, to the height
    /// and width that `sides` holds.
    ///
    /// Pillow's kernels are not left to `Resize`: it rounds ties otherwise, which a network magnifies,
    /// and has no sinc. They are two products with matrices of weights, each rounded to 8 bits.
    mutating func resized(
        _ x: String, by kernel: ONNXExport.Input.Kernel, to sides: String
    ) -> String {
        let taps: Taps
        switch kernel {
        case .nearest: return nearest(x, to: sides)
        case .fourNeighbours: return fourNeighbours(x, to: sides)
        case .triangle: taps = Taps(support: 1, weight: { $0.triangle(at: $1, name: $2) })
        case .cubic: taps = Taps(support: 2, weight: { $0.cubic(at: $1, name: $2) })
        case .lanczos: taps = Taps(support: 3, weight: { $0.lanczos(at: $1, name: $2) })
        }
        let old = extent(of: x, name: "image.from")
        let columns = weights(of: taps, axis: .columns, from: old, to: sides)
        let wide = rounded(
            products: columns.map { part in
                let turned = emit("Transpose", name: part + ".turned", inputs: [part])
                return emit("MatMul", name: part + ".product", inputs: [x, turned])
            }, name: "image.wide")
        let rows = weights(of: taps, axis: .rows, from: old, to: sides)
        return rounded(
            products: rows.map { part in
                emit("MatMul", name: part + ".product", inputs: [part, wide])
            }, name: "image.resized")
    }

    /// An axis of a map, as an index into its height and width.
    private enum Axis: Int {
        case rows = 0
        case columns = 1

        var name: String { self == .rows ? "image.rows" : "image.columns" }
        /// The index into (N, C, H, W).
        var place: Int { rawValue + 2 }
    }

    /// A kernel of Pillow's `Resample.c`: its reach, and its weight at a distance, a matrix.
    private struct Taps {
        let support: Double
        let weight: (inout ONNXGraph, _ position: String, _ name: String) -> String
    }

    // MARK: Arithmetic in double precision

    /// Adds an operator whose operands are values and numbers.
    private mutating func compute(
        _ type: String, of operands: Operand..., name: String
    ) -> String {
        var inputs: [String] = []
        for operand in operands {
            switch operand {
            case .value(let value): inputs.append(value)
            case .number(let number):
                inputs.append(constant(double: number, name: "\(name).\(inputs.count)"))
            }
        }
        return emit(type, name: name, inputs: inputs)
    }

    private enum Operand: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
        case value(String)
        case number(Double)

        init(floatLiteral value: Double) { self = .number(value) }
        init(integerLiteral value: Int) { self = .number(Double(value)) }
    }

    /// One of two integers as a scalar.
    private mutating func element(_ axis: Axis, of pair: String, name: String) -> String {
        let index = constant(integer: axis.rawValue, name: name + ".index")
        return emit("Gather", name: name, inputs: [pair, index], attributes: ["axis": 0])
    }

    private mutating func double(_ x: String, name: String) -> String {
        emit("Cast", name: name, inputs: [x], attributes: ["to": .integer(Self.doubleType)])
    }

    // MARK: Pillow

    /// The weights of an axis, (new, old) in units of 2⁻²²; as two matrices, so that products with
    /// bytes are exact in single precision: multiples of 2¹¹, and the rest.
    private mutating func weights(
        of taps: Taps, axis: Axis, from olds: String, to news: String
    ) -> [String] {
        let base = axis.name
        func name(_ part: String) -> String { "\(base).\(part)" }
        let old = double(element(axis, of: olds, name: name("old")), name: name("old.double"))
        let new = double(element(axis, of: news, name: name("new")), name: name("new.double"))
        let scale = compute("Div", of: .value(old), .value(new), name: name("scale"))
        let widening = compute("Max", of: .value(scale), 1, name: name("widening"))
        let support = compute(
            "Mul", of: .value(widening), .number(taps.support), name: name("support"))
        let steps = compute("Range", of: 0, .value(new), 1, name: name("steps"))
        let middles = compute("Add", of: .value(steps), 0.5, name: name("middles"))
        let column = constant([-1, 1], name: name("column"))
        let centre = emit(
            "Reshape", name: name("centre"),
            inputs: [
                compute("Mul", of: .value(middles), .value(scale), name: name("centres")), column,
            ])
        let places = compute("Range", of: 0, .value(old), 1, name: name("places"))
        // Whole numbers from the first to before the last that the kernel reaches.
        let start = compute("Sub", of: .value(centre), .value(support), name: name("start"))
        let first = compute(
            "Floor", of: .value(compute("Add", of: .value(start), 0.5, name: name("start.half"))),
            name: name("first"))
        let end = compute("Add", of: .value(centre), .value(support), name: name("end"))
        let last = compute(
            "Floor", of: .value(compute("Add", of: .value(end), 0.5, name: name("end.half"))),
            name: name("last"))
        let after = emit("GreaterOrEqual", name: name("after"), inputs: [places, first])
        let before = emit("Less", name: name("before"), inputs: [places, last])
        let reached = emit("And", name: name("reached"), inputs: [after, before])
        let distance = compute("Sub", of: .value(places), .value(centre), name: name("distance"))
        let middle = compute("Add", of: .value(distance), 0.5, name: name("middle"))
        let narrowing = compute("Div", of: 1, .value(widening), name: name("narrowing"))
        let position = compute("Mul", of: .value(middle), .value(narrowing), name: name("position"))
        let all = taps.weight(&self, position, name("kernel"))
        let kept = compute("Where", of: .value(reached), .value(all), 0, name: name("kept"))
        let sum = emit(
            "ReduceSum", name: name("sum"), inputs: [kept, constant([1], name: name("axis"))])
        let share = compute("Div", of: .value(kept), .value(sum), name: name("share"))
        let fine = compute("Mul", of: .value(share), 4_194_304, name: name("fine"))
        let fixed = emit("Round", name: name("fixed"), inputs: [fine])
        let part = compute("Div", of: .value(fixed), 2048, name: name("part"))
        let high = emit("Floor", name: name("high"), inputs: [part])
        let whole = compute("Mul", of: .value(high), 2048, name: name("whole"))
        let low = compute("Sub", of: .value(fixed), .value(whole), name: name("low"))
        return [high, low].map {
            emit("Cast", name: $0 + ".float", inputs: [$0], attributes: ["to": 1])
        }
    }

    /// ⌊(2¹¹ high + low + 2²¹) / 2²²⌋, clipped to 8 bits.
    private mutating func rounded(products: [String], name: String) -> String {
        let share = constant(1.0 / 2048, name: name + ".share")
        let small = emit("Mul", name: name + ".small", inputs: [products[1], share])
        let carried = emit("Floor", name: name + ".carried", inputs: [small])
        let sum = emit("Add", name: name + ".sum", inputs: [products[0], carried])
        let half = constant(1024, name: name + ".half")
        let raised = emit("Add", name: name + ".raised", inputs: [sum, half])
        let exact = emit("Mul", name: name + ".exact", inputs: [raised, share])
        let whole = emit("Floor", name: name + ".whole", inputs: [exact])
        let limits = [
            constant(0, name: name + ".least"),
            constant(255, name: name + ".most"),
        ]
        return emit("Clip", name: name, inputs: [whole] + limits)
    }

    private mutating func triangle(at position: String, name: String) -> String {
        let distance = emit("Abs", name: name + ".distance", inputs: [position])
        let height = compute("Sub", of: 1, .value(distance), name: name + ".height")
        return compute("Max", of: .value(height), 0, name: name)
    }

    /// (a + 2) d³ − (a + 3) d² + 1 within 1, a d³ − 5a d² + 8a d − 4a within 2, for a = −½.
    private mutating func cubic(at position: String, name: String) -> String {
        let distance = emit("Abs", name: name + ".distance", inputs: [position])
        /// (… ((c₀ d + c₁) d + c₂) d …) + cₙ
        func polynomial(_ coefficients: [Double], name: String) -> String {
            var value: Operand = .number(coefficients[0])
            for (index, coefficient) in coefficients.dropFirst().enumerated() {
                let scaled = compute(
                    "Mul", of: value, .value(distance), name: "\(name).scaled\(index)")
                value = .value(
                    compute(
                        "Add", of: .value(scaled), .number(coefficient), name: "\(name).sum\(index)"
                    ))
            }
            guard case .value(let result) = value else { preconditionFailure("no coefficients") }
            return result
        }
        let inner = polynomial([1.5, -2.5, 0, 1], name: name + ".inner")
        let outer = compute(
            "Mul", of: .value(polynomial([1, -5, 8, -4], name: name + ".outer")), -0.5,
            name: name + ".tail")
        let isInner = compute("Less", of: .value(distance), 1, name: name + ".within")
        let isOuter = compute("Less", of: .value(distance), 2, name: name + ".reached")
        let rest = compute("Where", of: .value(isOuter), .value(outer), 0, name: name + ".rest")
        return compute("Where", of: .value(isInner), .value(inner), .value(rest), name: name)
    }

    /// sinc(x) sinc(x / 3) within 3.
    private mutating func lanczos(at position: String, name: String) -> String {
        func sinc(_ x: String, name: String) -> String {
            let angle = compute("Mul", of: .value(x), .number(.pi), name: name + ".angle")
            let sine = emit("Sin", name: name + ".sine", inputs: [angle])
            let ratio = compute("Div", of: .value(sine), .value(angle), name: name + ".ratio")
            let isCentre = compute("Equal", of: .value(x), 0, name: name + ".centre")
            return compute("Where", of: .value(isCentre), 1, .value(ratio), name: name)
        }
        let third = compute("Div", of: .value(position), 3, name: name + ".third")
        let product = compute(
            "Mul", of: .value(sinc(position, name: name + ".sinc")),
            .value(sinc(third, name: name + ".window")), name: name + ".product")
        let distance = emit("Abs", name: name + ".distance", inputs: [position])
        let isInside = compute("Less", of: .value(distance), 3, name: name + ".within")
        return compute("Where", of: .value(isInside), .value(product), 0, name: name)
    }

    // MARK: Others

    /// Pillow's `NEAREST`, whose positions are summed rather than multiplied.
    private mutating func nearest(_ x: String, to news: String) -> String {
        let olds = extent(of: x, name: "image.from")
        var x = x
        for axis in [Axis.columns, .rows] {
            let base = axis.name
            func name(_ part: String) -> String { "\(base).\(part)" }
            let count = element(axis, of: olds, name: name("old"))
            let old = double(count, name: name("old.double"))
            let new = double(element(axis, of: news, name: name("new")), name: name("new.double"))
            let step = compute("Div", of: .value(old), .value(new), name: name("step"))
            let places = compute("Range", of: 0, .value(new), 1, name: name("places"))
            let isFirst = compute("Equal", of: .value(places), 0, name: name("isFirst"))
            let share = compute("Where", of: .value(isFirst), 0.5, 1, name: name("share"))
            let steps = compute("Mul", of: .value(share), .value(step), name: name("steps"))
            let zero = constant(integer: 0, name: name("axis"))
            let sums = emit("CumSum", name: name("sums"), inputs: [steps, zero])
            let most = compute("Sub", of: .value(old), 1, name: name("most"))
            let cut = emit("Floor", name: name("cut"), inputs: [sums])
            let limited = emit("Min", name: name("limited"), inputs: [cut, most])
            let index = emit("Cast", name: name("index"), inputs: [limited], attributes: ["to": 7])
            x = emit(
                "Gather", name: name("taken"), inputs: [x, index],
                attributes: ["axis": .integer(axis.place)])
        }
        return x
    }

    /// TensorFlow's bilinear: half-pixel centres, not rounded.
    private mutating func fourNeighbours(_ x: String, to sides: String) -> String {
        let kept = emit("Shape", name: "image.kept", inputs: [x], attributes: ["end": 2])
        let sizes = emit(
            "Concat", name: "image.sizes", inputs: [kept, sides], attributes: ["axis": 0])
        return emit(
            "Resize", name: "image.resized", inputs: [x, "", "", sizes],
            attributes: ["coordinate_transformation_mode": "half_pixel", "mode": "linear"])
    }
}
