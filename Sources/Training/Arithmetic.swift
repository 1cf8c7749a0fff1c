// The C library's elementary functions, under one name wherever they come from.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

func exponential(_ x: Double) -> Double { exp(x) }
func logarithm(_ x: Double) -> Double { log(x) }
func tenToThe(_ x: Double) -> Double { pow(10, x) }
func cosineOf(_ x: Double) -> Double { cos(x) }
func raised(_ base: Double, _ power: Double) -> Double { pow(base, power) }
