// Training on many machines: Open MPI, loaded when it is asked for.

import CMPI

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The processes that `mpirun`, Slurm or the Kubernetes MPI operator started together.
public final class MPICrew: Crew {
    /// Which of them this is, 0 ..< ``count``.
    public let rank: Int
    /// How many there are.
    public let count: Int
    private var mpi: graft_mpi
    private var requests: [UnsafeMutableRawPointer?] = []

    /// Whether Open MPI is on this machine.
    public static var isInstalled: Bool {
        libraries.contains { name in
            guard let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) else { return false }
            dlclose(handle)
            return true
        }
    }

    private static let libraries = ["libmpi.so.40", "libmpi.so"]

    /// Joins the others.
    ///
    /// - Throws: ``TrainingError/distributed(_:hint:)`` where there is no Open MPI, or it does not start.
    public init() throws {
        let names = Self.libraries
        var mpi = graft_mpi()
        var missing: String? = ""
        for name in names where missing != nil {
            missing = graft_mpi_load(&mpi, name).map { String(cString: $0) }
        }
        if let missing {
            throw TrainingError.distributed(
                "Open MPI cannot be loaded: \(missing) is not there (looked for \(names.joined(separator: ", ")))",
                hint: "install it: `apt-get install openmpi-bin`")
        }
        var provided: Int32 = 0
        // 1: one thread of several calls MPI.
        let status = mpi.init_thread(nil, nil, 1, &provided)
        guard status == 0 else {
            throw TrainingError.distributed(
                "Open MPI does not start (error \(status))",
                hint: "start the program with `mpirun -n N graft train … --distributed`")
        }
        _ = mpi.set_errhandler(mpi.world, mpi.errors_return)
        var (rank, count): (Int32, Int32) = (0, 1)
        guard mpi.rank(mpi.world, &rank) == 0, mpi.size(mpi.world, &count) == 0 else {
            throw TrainingError.distributed(
                "Open MPI does not say how many processes there are", hint: nil)
        }
        self.mpi = mpi
        self.rank = Int(rank)
        self.count = Int(count)
    }

    private func check(_ status: Int32, _ what: String) throws {
        guard status != 0 else { return }
        var text = [CChar](repeating: 0, count: 512)
        var length: Int32 = 0
        _ = mpi.error_string(status, &text, &length)
        let words = String(
            decoding: text.prefix(Int(max(length, 0))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw TrainingError.distributed(
            "process \(rank) of \(count) cannot \(what): \(words)",
            hint: "another process may have ended; go on with --resume")
    }

    /// Waits until all are here.
    public func barrier() throws { try check(mpi.barrier(mpi.world), "meet the others") }

    /// Replaces numbers by their sum over all processes.
    public func sum(_ numbers: UnsafeMutableBufferPointer<Float>) throws {
        // A count is 32 bits: longer arrays go in pieces.
        for start in stride(from: 0, to: numbers.count, by: 1 << 28) {
            let piece = UnsafeMutableBufferPointer(
                rebasing: numbers[start..<min(start + 1 << 28, numbers.count)])
            try check(
                mpi.allreduce(
                    graft_mpi_in_place(), piece.baseAddress, Int32(piece.count), mpi.floats,
                    mpi.sum,
                    mpi.world), "add up numbers")
        }
    }

    /// Begins to replace numbers by their sum; they must stay where they are until ``finish()``.
    public func startSum(_ numbers: UnsafeMutableBufferPointer<Float>) throws {
        guard numbers.count < 1 << 28 else {
            try sum(numbers)
            return
        }
        var request: UnsafeMutableRawPointer?
        try check(
            mpi.iallreduce(
                graft_mpi_in_place(), numbers.baseAddress, Int32(numbers.count), mpi.floats,
                mpi.sum,
                mpi.world, &request), "begin to add up gradients")
        requests.append(request)
    }

    /// Waits for all sums that were begun.
    public func finish() throws {
        guard !requests.isEmpty else { return }
        let status = mpi.waitall(Int32(requests.count), &requests, nil)
        requests.removeAll(keepingCapacity: true)
        try check(status, "add up gradients")
    }

    /// Leaves: all processes must.
    public func leave() { _ = mpi.finalize() }

    /// Ends all processes, after an error of this one.
    public func abort() { _ = mpi.abort(mpi.world, 1) }
}
