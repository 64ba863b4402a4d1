// out[i] is 1, multiplied p times by x[i]: each product rounded as the CPU rounds it, so results are the same bits.
__kernel void power(__global const float *x, __global float *out, const uint p, const uint n)
{
    const size_t i = get_global_id(0);
    if (i >= n) {
        return; // a device may round the work items up to whole groups
    }
    const float factor = x[i];
    float product = 1.0f;
    for (uint k = 0; k < p; ++k) {
        product *= factor;
    }
    out[i] = product;
}
