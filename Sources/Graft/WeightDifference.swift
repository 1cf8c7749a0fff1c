// What differs between the weights of two files.

public import GraftTensors
internal import OrderedCollections

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// The result of comparing two state dicts tensor by tensor.
public struct WeightDifference: Sendable, Encodable {
    /// A tensor that is in both and not the same.
    public struct Row: Sendable, Encodable {
        /// Its name.
        public let name: String
        /// `numbers`, `shape (2, 3) and (3, 2)` or `type F32 and F16`.
        public let reason: String
        /// The largest absolute difference, if the shapes are equal.
        public let largest: Double?
        /// The mean absolute difference.
        public let mean: Double?
    }

    /// The number of tensors that are equal within the tolerance.
    public private(set) var equal = 0
    /// Those in both that are not.
    public private(set) var different: [Row] = []
    /// Names that only the first has.
    public private(set) var onlyInFirst: [String] = []
    /// Names that only the second has.
    public private(set) var onlyInSecond: [String] = []

    /// Whether nothing differs.
    public var isEqual: Bool { different.isEmpty && onlyInFirst.isEmpty && onlyInSecond.isEmpty }

    /// Whether both have the same names with the same shapes, in any order.
    public static func sameOutline(_ first: StateDict, _ second: StateDict) -> Bool {
        first.count == second.count
            && first.tensors.elements.allSatisfy { second[$0.key]?.shape == $0.value.shape }
    }

    /// Whether most names are in both with equal shapes, so that they can be compared as they are.
    public static func comparable(_ first: StateDict, _ second: StateDict) -> Bool {
        let shared = first.tensors.elements.count { second[$0.key]?.shape == $0.value.shape }
        return shared * 2 > max(first.count, second.count)
    }

    /// Compares numbers; with a tolerance above 0 a difference of type alone counts as none.
    public init(_ first: StateDict, _ second: StateDict, tolerance: Double = 0) throws {
        for (name, a) in first.tensors {
            guard let b = second[name] else {
                onlyInFirst.append(name)
                continue
            }
            guard a.shape == b.shape else {
                different.append(
                    Row(
                        name: name, reason: "shape \(a.shape) and \(b.shape)", largest: nil,
                        mean: nil)
                )
                continue
            }
            try compare(name, a, b, tolerance)
        }
        onlyInSecond = second.tensors.keys.filter { first[$0] == nil }
    }

    private mutating func compare(
        _ name: String, _ a: LazyTensor, _ b: LazyTensor, _ tolerance: Double
    ) throws {
        let (x, y) = (try a.load(), try b.load())
        let isSame = x.withBytes { p in
            y.withBytes { q in
                guard a.dtype == b.dtype, p.count == q.count else { return false }
                guard let left = p.baseAddress, let right = q.baseAddress else { return true }
                return memcmp(left, right, p.count) == 0
            }
        }
        if isSame {
            equal += 1
            return
        }
        let (u, v) = (x.converted(to: .f64), y.converted(to: .f64))
        var largest = 0.0
        var sum = 0.0
        u.withBytes { p in
            v.withBytes { q in
                for index in 0..<u.count {
                    let left = p.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
                    let right = q.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
                    if left == right || (left.isNaN && right.isNaN) { continue }
                    let difference = abs(left - right)
                    // A number that is no number on one side is as different as can be.
                    largest = difference.isNaN ? .infinity : max(largest, difference)
                    sum += difference.isNaN ? .infinity : difference
                }
            }
        }
        if largest <= tolerance, a.dtype == b.dtype || tolerance > 0 {
            equal += 1
            return
        }
        let isType = a.dtype != b.dtype && largest == 0
        different.append(
            Row(
                name: name,
                reason: isType ? "type \(a.dtype.rawValue) and \(b.dtype.rawValue)" : "numbers",
                largest: largest.isFinite ? largest : nil,
                mean: sum.isFinite ? sum / Double(max(u.count, 1)) : nil))
    }
}
