// Fits Reaction ~ Days + (Days | Subject) to a CSV file whose columns are Reaction, Days, Subject.
//
//	export PKG_CONFIG_PATH=PREFIX/lib/pkgconfig LD_LIBRARY_PATH=PREFIX/lib
//	cd examples/go && go build && ./sleepstudy sleepstudy.csv
package main

/*
#cgo pkg-config: crossnest_c
#include <crossnest/crossnest.h>
#include <stdlib.h>
*/
import "C"

import (
	"encoding/csv"
	"fmt"
	"log"
	"os"
	"strconv"
	"unsafe"
)

// check ends the program where a call failed.
func check(code C.int32_t) {
	if code != C.CN_OK {
		log.Fatal(C.GoString(C.cn_last_error()))
	}
}

// doubles returns an array that C may keep a pointer to, which Go's own arrays must not be.
func doubles(n int) []C.double {
	return unsafe.Slice((*C.double)(C.malloc(C.size_t(n)*8)), n)
}

func number(text string) C.double {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		log.Fatal(err)
	}
	return C.double(value)
}

func get(fit *C.cn_fit, name string) float64 {
	key := C.CString(name)
	defer C.free(unsafe.Pointer(key))
	var value C.double
	check(C.cn_fit_get_double(fit, key, &value))
	return float64(value)
}

func main() {
	path := "sleepstudy.csv"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	rows = rows[1:] // the names
	n := len(rows)
	reaction, X := doubles(n), doubles(2*n) // X by columns: the intercept, then Days
	subject := unsafe.Slice((*C.int32_t)(C.malloc(C.size_t(n)*4)), n)
	codes := map[string]C.int32_t{} // a number for each subject, counted from 0
	for i, row := range rows {
		reaction[i], X[i], X[n+i] = number(row[0]), 1, number(row[1])
		if _, seen := codes[row[2]]; !seen {
			codes[row[2]] = C.int32_t(len(codes))
		}
		subject[i] = codes[row[2]]
	}

	var design *C.cn_design
	var model *C.cn_model
	var response *C.cn_response
	var fit *C.cn_fit
	check(C.cn_design_new(C.int64_t(n), 2, &X[0], &design))
	check(C.cn_design_add_factor(design, &subject[0], C.int64_t(len(codes))))
	// (Days | Subject): each subject has an intercept (nil) and a slope.
	columns := (*[2]*C.double)(C.calloc(2, C.size_t(unsafe.Sizeof(&X[0]))))
	columns[1] = &X[n]
	covariance := C.CString("unstructured")
	check(C.cn_design_add_term(design, 0, 2, &columns[0], covariance))
	check(C.cn_model_new(design, nil, &model)) // nil: all options at their defaults
	check(C.cn_response_new(model, &reaction[0], nil, &response))
	check(C.cn_fit_new(response, nil, nil, 0, &fit))

	theta := doubles(3)
	key := C.CString("theta")
	check(C.cn_fit_get_array(fit, key, &theta[0], 3))
	fmt.Printf("REML criterion %.3f: %s\n", get(fit, "objective"), C.GoString(C.cn_fit_message(fit)))
	fmt.Printf("sigma %.4f, theta %.4f %.4f %.4f\n", get(fit, "sigma"),
		float64(theta[0]), float64(theta[1]), float64(theta[2]))

	fmt.Printf("%-12s %9s %9s %7s %8s\n", "", "Estimate", "Error", "df", "t value")
	for j, name := range []string{"(Intercept)", "Days"} {
		var weights [2]C.double
		var value, spread, df C.double
		weights[j] = 1
		check(C.cn_fit_contrast(fit, &weights[0], 2, &value, &spread, &df))
		fmt.Printf("%-12s %9.4f %9.4f %7.2f %8.3f\n", name,
			float64(value), float64(spread), float64(df), float64(value/spread))
	}

	C.cn_fit_free(fit)
	C.cn_response_free(response)
	C.cn_model_free(model)
	C.cn_design_free(design)
	for _, array := range []unsafe.Pointer{unsafe.Pointer(&reaction[0]), unsafe.Pointer(&X[0]),
		unsafe.Pointer(&subject[0]), unsafe.Pointer(&theta[0]), unsafe.Pointer(columns),
		unsafe.Pointer(covariance), unsafe.Pointer(key)} {
		C.free(array)
	}
}
