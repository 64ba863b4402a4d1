// out[i] = a * x[i] + y[i], product and sum rounded apart as on the CPU, not fused.
#pragma OPENCL FP_CONTRACT OFF

__kernel void saxpy(__global const float *x, __global const float *y, __global float *out, const float a, const uint n)
{
    const size_t i = get_global_id(0);
    if (i >= n) {
        return; // a device may round the work items up to whole groups
    }
    out[i] = a * x[i] + y[i];
}
