// Products of plain matrices, for what is not a network: solvers and searches.

import CDNNL

/// Row-major products of 32-bit floats on oneDNN.
package enum MatrixProduct {
    /// `c = a · b`: (rows × inner) · (inner × columns). A transposed operand is given as it lies:
    /// `a` as (inner × rows), `b` as (columns × inner).
    package static func multiply(
        _ a: UnsafeBufferPointer<Float>, transposedA: Bool = false,
        _ b: UnsafeBufferPointer<Float>, transposedB: Bool = false,
        into c: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int, inner: Int
    ) throws {
        precondition(a.count >= rows * inner && b.count >= inner * columns)
        precondition(c.count >= rows * columns)
        guard rows > 0, columns > 0, inner > 0 else { return }
        let (yes, no) = (CChar(UInt8(ascii: "T")), CChar(UInt8(ascii: "N")))
        try check(
            dnnl_sgemm(
                transposedA ? yes : no, transposedB ? yes : no, Int64(rows), Int64(columns),
                Int64(inner), 1, a.baseAddress, Int64(transposedA ? rows : inner), b.baseAddress,
                Int64(transposedB ? inner : columns), 0, c.baseAddress, Int64(columns)),
            "multiply matrices")
    }
}
