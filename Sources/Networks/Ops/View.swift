// The same elements under other sizes, and values repeated to larger sizes.

import GraftTensors

extension Op {
    /// The same elements, row-major, under other sizes.
    public struct View: OpRule {
        /// The name in files.
        public static let name = "view"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The sizes; 0 is the size of the input's axis at the same place, −1 (once) is what is left.
        public var sizes: [Int]

        /// The name in a summary.
        public var kind: String { "view" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Where the samples stay the first axis.
        public var treatsSamplesAlone: Bool { sizes.first == 0 }

        /// A value of as many elements.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            let flaw = OpFlaw.unfitSizes(sizes, x)
            var result: [Int] = []
            for (axis, size) in sizes.enumerated() {
                switch size {
                case 0:
                    guard axis < x.rank else { throw flaw }
                    result.append(x[axis])
                case -1, 1...: result.append(size)
                default: throw flaw
                }
            }
            guard let count = x.checkedCount, count > 0,
                let known = Shape(result.filter { $0 != -1 }).checkedCount, known > 0
            else { throw flaw }
            if let rest = result.firstIndex(of: -1) {
                guard result.lastIndex(of: -1) == rest, count % known == 0 else { throw flaw }
                result[rest] = count / known
            } else if known != count {
                throw flaw
            }
            return [ValueType(Shape(result), element: inputs[0].element)]
        }
    }

    /// A value repeated along axes of one element, as ONNX's `Expand` (NumPy's broadcasting both ways).
    ///
    /// Reads the value and, if a size asks for it, a second one whose first axis is the batch.
    public struct Expand: OpRule {
        /// The name in files.
        public static let name = "expand"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// A size that is that of the second value's first axis.
        public static let batch = -2
        /// The sizes that the value is fitted to; −1 is the size of the input's axis, ``batch`` the
        /// number of samples of the second value.
        public var sizes: [Int]

        /// The name in a summary.
        public var kind: String { "expand" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Samples may come from one.
        public var treatsSamplesAlone: Bool { false }

        /// A larger value.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let count = sizes.contains(Self.batch) ? 2 : 1
            guard inputs.count == count else {
                throw .inputCount(expected: count, found: inputs.count)
            }
            let x = inputs[0].shape
            let flaw = OpFlaw.unfitSizes(sizes, x)
            let lead = sizes.count - x.rank
            var target: [Int] = []
            for (axis, size) in sizes.enumerated() {
                switch size {
                case 1...: target.append(size)
                case -1 where axis >= lead: target.append(x[axis - lead])
                case Self.batch where (inputs.last?.shape.rank ?? 0) > 0:
                    target.append(inputs[1].shape[0])
                default: throw flaw
                }
            }
            guard let result = x.broadcast(with: Shape(target)) else { throw flaw }
            return [ValueType(result, element: inputs[0].element)]
        }
    }

    /// The same elements under these sizes: 0 keeps an axis, −1 is what is left.
    public static func view(_ sizes: [Int]) -> Op { .view(View(sizes: sizes)) }

    /// A value repeated to these sizes.
    public static func expand(_ sizes: [Int]) -> Op { .expand(Expand(sizes: sizes)) }
}
