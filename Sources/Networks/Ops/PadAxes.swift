// Elements before and after each axis, by a rule.

import GraftTensors

extension Op {
    /// Elements before and after each axis; negative amounts cut.
    public struct PadAxes: OpRule {
        /// What they hold, under ONNX's names.
        public enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
            /// A constant.
            case constant
            /// The elements mirrored at the edge, the edge not repeated.
            case reflect
            /// The edge repeated.
            case edge
            /// The other end.
            case wrap
        }
        /// The name in files.
        public static let name = "padAxes"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The elements before each axis.
        public var before: [Int]
        /// The elements after each axis.
        public var after: [Int]
        /// What they hold.
        public var mode: Mode
        /// The constant.
        public var value: Float

        /// The name in a summary.
        public var kind: String { "pad_axes" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Where no samples are added.
        public var treatsSamplesAlone: Bool { before.first == 0 && after.first == 0 }

        /// A value of other sizes.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            let limit = Window.maximumExtent
            guard before.count == x.rank, after.count == x.rank else {
                throw .unfitAmounts(before + after, x)
            }
            for amount in before + after where !(-limit...limit).contains(amount) {
                throw .unfitPadding(amount)
            }
            var sizes: [Int] = []
            for axis in 0..<x.rank {
                let size = x[axis]
                let kept = size + min(before[axis], 0) + min(after[axis], 0)
                // A mirror shows no more than what is before it.
                let reach = max(before[axis], after[axis])
                let fits =
                    switch mode {
                    case .constant: true
                    case .reflect: reach <= 0 || reach < kept
                    case .edge, .wrap: reach <= 0 || kept > 0
                    }
                let total = size + before[axis] + after[axis]
                guard fits, kept >= 0, total > 0 else { throw .unfitAmounts(before + after, x) }
                sizes.append(total)
            }
            return [ValueType(Shape(sizes), element: inputs[0].element)]
        }
    }

    /// Elements before and after each axis.
    public static func padAxes(
        before: [Int], after: [Int], mode: PadAxes.Mode = .constant, value: Float = 0
    ) -> Op {
        .padAxes(PadAxes(before: before, after: after, mode: mode, value: value))
    }
}
