// How many threads a run uses: what the caller asks for, or what the process may really have.

import CKernels
import Glibc

/// The threads of the OpenMP runtime that oneDNN computes on.
public enum Threads {
    /// The number of threads that a run uses unless it is told otherwise: the processors that this
    /// process may use, and no more than its control group's share of time pays for.
    /// `OMP_NUM_THREADS` decides if it is set.
    public static let usable: Int = {
        if let text = getenv("OMP_NUM_THREADS").map({ String(cString: $0) }),
            let first = text.split(separator: ",").first, let count = Int(first), count > 0
        {
            return min(count, 1024)
        }
        // OpenMP's own count honours the affinity mask.
        typealias Counter = @convention(c) () -> Int32
        let processors =
            dlsym(nil, "omp_get_num_procs").map { Int(unsafeBitCast($0, to: Counter.self)()) }
            ?? sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return max(1, min(processors, quota() ?? processors))
    }()

    /// Runs `body` for 0 ..< `count` on the threads that oneDNN computes on, in any order; the last
    /// is done when this returns.
    public static func each(_ count: Int, _ body: (Int) -> Void) {
        guard count > 1 else {
            if count == 1 { body(0) }
            return
        }
        withoutActuallyEscaping(body) { body in
            var body = body
            withUnsafeMutablePointer(to: &body) { context in
                graft_parallel(
                    count,
                    { context, index in
                        context?.assumingMemoryBound(to: ((Int) -> Void).self).pointee(index)
                    }, context)
            }
        }
    }

    /// How many threads this thread's parallel regions have.
    static var current: Int {
        typealias Counter = @convention(c) () -> Int32
        return dlsym(nil, "omp_get_max_threads")
            .map { max(1, Int(unsafeBitCast($0, to: Counter.self)())) } ?? 1
    }

    /// Sets the number for this thread's parallel regions; nil is ``usable``.
    static func use(_ count: Int?) {
        guard let symbol = dlsym(nil, "omp_set_num_threads") else { return }
        typealias Setter = @convention(c) (Int32) -> Void
        unsafeBitCast(symbol, to: Setter.self)(Int32(max(1, min(count ?? usable, 1024))))
    }

    /// The processors' worth of time that the control group grants, rounded up; nil if unlimited.
    private static func quota() -> Int? {
        var share: Double?
        func limit(_ quota: Double?, _ period: Double?) {
            guard let quota, let period, quota > 0, period > 0 else { return }
            share = min(share ?? .infinity, quota / period)
        }
        func words(_ path: String) -> [Double?] {
            text(path).split(whereSeparator: { $0 == " " || $0 == "\n" }).map { Double($0) }
        }
        for line in text("/proc/self/cgroup").split(separator: "\n") {
            // hierarchy:controllers:group
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isSecond = parts[0] == "0"
            guard isSecond || parts[1].split(separator: ",").contains("cpu") else { continue }
            // The group and every one above it may have a limit.
            var group = String(parts[2])
            while true {
                if isSecond {  // "max 100000" or "150000 100000"
                    let both = words("/sys/fs/cgroup\(group)/cpu.max")
                    if both.count == 2 { limit(both[0], both[1]) }
                } else {
                    let folder = "/sys/fs/cgroup/cpu\(group)"
                    limit(
                        words(folder + "/cpu.cfs_quota_us").first ?? nil,
                        words(folder + "/cpu.cfs_period_us").first ?? nil)
                }
                guard let slash = group.lastIndex(of: "/") else { break }
                group = String(group[..<slash])
            }
        }
        return share.map { Int($0.rounded(.up)) }
    }

    private static func text(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        // Nested containers have a line of some hundred bytes for each of a dozen controllers.
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
