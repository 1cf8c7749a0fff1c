// Axes in another order.

import GraftTensors

extension Op {
    /// The axes in another order, as NumPy's `transpose`.
    public struct Transpose: OpRule {
        /// The name in files.
        public static let name = "transpose"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis of the input that each axis of the output is.
        public var order: [Int]

        /// The name in a summary.
        public var kind: String { "transpose" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Where the samples stay the first axis.
        public var treatsSamplesAlone: Bool { order.first == 0 }

        /// A value of other sizes.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            guard order.sorted() == Array(0..<x.rank) else { throw .unfitOrder(order, x) }
            return [ValueType(x.permuted(order), element: inputs[0].element)]
        }
    }

    /// The axes in this order.
    public static func transpose(_ order: [Int]) -> Op { .transpose(Transpose(order: order)) }
}
